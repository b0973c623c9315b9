"""Results agree before they are timed."""

import numpy as np

# Relative to the value and, where terms cancel, to the largest value of the array.
TOLERANCE = 1e-5


def assert_agree(actual, expected) -> None:
    """Compare arrays, numbers, or tuples of them; None stands for nothing returned."""
    if isinstance(expected, tuple):
        for one, other in zip(actual, expected, strict=True):
            assert_agree(one, other)
    elif expected is not None:
        np.testing.assert_allclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE * np.abs(expected).max())
    else:
        assert actual is None
