"""The shapes that benchmarks share, rows x width: a step of 4 environments, of 64, a minibatch, a wide network's."""

from collections.abc import Callable

import pytest

NAMED = {"tiny": (4, 64), "rollout": (64, 64), "minibatch": (128, 64), "wide": (128, 1024)}


def every_shape(*more: str, of: Callable[[int, int], tuple[int, ...]] = lambda rows, width: (rows, width)):
    """Parametrize a benchmark by `shape`, such as "128x64", with the names in the ids.

    Args:
        more: shapes without a name.
        of: the shape that a kernel makes of rows and width; what comes twice is taken once.
    """
    named = {}
    for name, (rows, width) in NAMED.items():
        named.setdefault("x".join(map(str, of(rows, width))), name)
    params = [pytest.param(shape, id=f"{name}-{shape}") for shape, name in named.items()]
    return pytest.mark.parametrize("shape", [*params, *more])
