"""Results agree before they are timed."""

from copy import deepcopy

import numpy as np

from bench.kernels.cases import Case

# Relative to the value and, where terms cancel, to the largest value of the array.
TOLERANCE = 1e-5


def assert_agree(actual, expected) -> None:
    """Compare arrays, numbers, or tuples of them; None stands for nothing returned."""
    if isinstance(expected, tuple):
        for one, other in zip(actual, expected, strict=True):
            assert_agree(one, other)
    elif expected is not None:
        largest = np.abs(np.where(np.isfinite(expected), expected, 0)).max()  # log 0 is -inf on both sides
        np.testing.assert_allclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE * largest)
    else:
        assert actual is None


def check_case(case: Case) -> None:
    """Raise AssertionError if ours and NumPy's do not leave, or return, the same numbers."""
    ours, theirs = deepcopy(case.arguments), deepcopy(case.arguments)
    assert_agree(deepcopy(case.ours(*ours)), case.numpy_version(*theirs))
    assert_agree(ours, theirs)
