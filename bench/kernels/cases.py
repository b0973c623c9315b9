"""What is timed: a kernel beside its NumPy version, with arguments; and the shapes that benchmarks share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

Sizes = tuple[int, ...]
# Rows x width: a step of 4 environments, one of 64, a minibatch, and a wide network's minibatch.
NAMED = {"tiny": (4, 64), "rollout": (64, 64), "minibatch": (128, 64), "wide": (128, 1024)}


@dataclass(frozen=True)
class Case:
    """A kernel and NumPy's version of it, with what both are called with, each on its own copy.

    Attributes:
        ours, numpy_version: the two functions.
        arguments: of both.
        timed: the arguments for timing, if those would grow or fade in thousands of calls: subnormal numbers are slow.
        flop: floating point operations of a call, for kernels that those limit; the others are limited by bytes.
    """

    ours: Callable[..., Any]
    numpy_version: Callable[..., Any]
    arguments: tuple
    timed: tuple | None = None
    flop: float = 0


class Draw:
    """Draws random arrays, the same for every case; as outputs they show what stays unwritten."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __call__(self, *shape: int) -> np.ndarray:
        """Standard normal numbers in float32."""
        return self.rng.standard_normal(shape, np.float32)

    def flags(self, probability: float, *shape: int) -> np.ndarray:
        """Truth values, each true with this probability."""
        return self.rng.random(shape) < probability


def shapes(*names: str) -> dict[str, Sizes]:
    """Sizes by name: {"128x4": (128, 4)} of "128x4"."""
    return {name: tuple(map(int, name.split("x"))) for name in names}


def every_shape(*more: str, of: Callable[[int, int], Sizes] = lambda rows, width: (rows, width)) -> dict[str, Sizes]:
    """The named shapes and more.

    Args:
        more: shapes without a name.
        of: the shape that a kernel makes of rows and width; what comes twice is taken once.
    """
    first = {}
    for name, (rows, width) in NAMED.items():
        first.setdefault(of(rows, width), name)
    return {f"{name}-{'x'.join(map(str, sizes))}": sizes for sizes, name in first.items()} | shapes(*more)


def benchmark_of(sizes: Mapping[str, Sizes], *choices: str) -> Callable[[Callable[..., Case]], Callable[..., None]]:
    """Make a test of a function that makes a case: the test times it for each shape, and each choice if there are any.

    Args:
        sizes: by the name of the shape.
        choices: of a further argument, for instance the name of an activation.

    Returns:
        A decorator; the test has the function, of a `Draw`, the sizes and the choice, as its attribute `case`.
    """
    params = [pytest.param(one, id=name) for name, one in sizes.items() if not choices]
    params += [pytest.param((*one, c), id=f"{name}-{c}") for name, one in sizes.items() for c in choices]

    def decorate(make: Callable[..., Case]) -> Callable[..., None]:
        @pytest.mark.parametrize("arguments", params)
        def test(time_case, arguments):
            time_case(make(Draw(), *arguments))

        test.case = make
        return test

    return decorate
