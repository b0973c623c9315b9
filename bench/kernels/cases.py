"""What is timed: a kernel beside its NumPy version, with arguments; and the shapes that benchmarks share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
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
    """

    ours: Callable[..., Any]
    numpy_version: Callable[..., Any]
    arguments: tuple
    timed: tuple | None = None


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
    """The named shapes, as the kernel makes them `of` rows and width (what comes twice is taken once), and more."""
    first = {}
    for name, (rows, width) in NAMED.items():
        first.setdefault(of(rows, width), name)
    return {f"{name}-{'x'.join(map(str, sizes))}": sizes for sizes, name in first.items()} | shapes(*more)


def numpy_version(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The function of bench.reference that does the same: numpy_gae in advantage.py of gae in kernels/advantage.py."""
    module = kernel.__module__.removeprefix("kernels.")
    return getattr(import_module(f"bench.reference.{module}"), f"numpy_{kernel.__name__}")


def benchmark_of(
    kernel: Callable[..., Any], sizes: Mapping[str, Sizes], make: Callable[..., tuple], *choices: str,
    timed: Callable[..., tuple] | None = None,
) -> Callable[..., None]:  # fmt: skip
    """A test that times a kernel and its NumPy version for each shape, and each choice if there are any.

    `make` makes the arguments, of a `Draw`, the sizes and the choice (for instance an activation); `timed` makes of
    those others for timing, see `Case`. The test's attribute `case` makes a `Case`, of the same as `make`.
    """
    params = [pytest.param(one, id=name) for name, one in sizes.items() if not choices]
    params += [pytest.param((*one, c), id=f"{name}-{c}") for name, one in sizes.items() for c in choices]

    def case(draw: Draw, *arguments: Any) -> Case:
        made = make(draw, *arguments)
        return Case(kernel, numpy_version(kernel), made, timed and timed(*made))

    @pytest.mark.parametrize("arguments", params)
    def test(time_case, arguments):
        time_case(case(Draw(), *arguments))

    test.case = case
    return test
