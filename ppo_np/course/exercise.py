"""What a lesson asks: the functions, the points at which they are called, and what is right there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

H = 1e-5  # step of the central differences
COMPLEX_H = 1e-30
TOLERANCE = 1e-7
FLOOR = 1e-9

Functions = SimpleNamespace  # the functions of a lesson and of those before it, by name


class ContractError(Exception):
    """The function returned something of the wrong kind, or changed its arguments: one sentence."""


class Point:
    """The arguments of one call, as attributes, and whatever else the judgement needs.

    Attributes:
        label: what is special about this point, in a few words.
        expected: what the function must return, for a point that was worked by hand; None otherwise.
    """

    def __init__(self, label: str, expected: Any = None, **values: Any):
        self.label, self.expected = label, expected
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the point {self.label!r} has no {name}")

    def arguments(self, names: Sequence[str]) -> list[Any]:
        """Copies of the arguments with these names, so that the function can be asked whether it changed them."""
        return [copied(getattr(self, name)) for name in names]


Right = Callable[[Functions, Point], Any]
Law = Callable[[Point, Any], str | None]
Terms = Callable[[Point], Mapping[str, Mapping[str, tuple[np.ndarray, float]]]]


@dataclass(frozen=True)
class Exercise:
    """One function that the learner writes, and how it is graded.

    Attributes:
        function: its name.
        arguments: the names of its arguments, which are attributes of each point.
        outputs: names of what it returns: one name for a single value, several for a tuple.
        points: rng -> the points at which it is called: new ones for each seed. Worked examples come first.
        right: (learner's functions, point) -> what it must return. For a backward pass: `gradient` of the learner's
            own forward pass. None takes the worked function.
        rests_on: functions of this lesson that `right` calls; if one of them is wrong, this one is not graded.
        laws: (point, result) -> a sentence if a law of mathematics is broken, in the form of a question if possible.
        terms: point -> output -> name of a term of its formula -> (its numbers, its coefficient); the coefficient is 0
            for a term that only a mistake adds.
        groups: point -> name of a kind of rows, such as a region -> (B,) booleans.
        tolerance: relative, of each output; 0 for integers and for what must be equal exactly.
        call: (function, arguments) -> result, where the result is not simply function(*arguments).
    """

    function: str
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    points: Callable[[np.random.Generator], Sequence[Point]]
    right: Right | None = None
    rests_on: tuple[str, ...] = ()
    laws: tuple[Law, ...] = ()
    terms: Terms | None = None
    groups: Callable[[Point], Mapping[str, np.ndarray]] | None = None
    tolerance: float = TOLERANCE
    call: Callable[[Callable[..., Any], list[Any]], Any] | None = None

    def result(self, function: Callable[..., Any], point: Point) -> Any:
        """What the function returns at a point."""
        arguments = point.arguments(self.arguments)
        return self.call(function, arguments) if self.call else function(*arguments)


def copied(value: Any) -> Any:
    """A copy of an array, of a list or a tuple of arrays, and so on; anything else as it is."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, list | tuple):
        return type(value)(copied(part) for part in value)
    return value


def leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The arrays in nested lists, tuples and dicts, each with its name: ("dlayers[0][1]", array)."""
    if isinstance(value, list | tuple):
        for i, part in enumerate(value):
            yield from leaves(part, f"{name}[{i}]")
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, f"{name}[{key!r}]")
    else:
        yield name, value


def gradient(loss: Callable[..., Any], *at: np.ndarray) -> tuple[np.ndarray, ...]:
    """Derivative of loss(*at) with respect to each array of `at`, in the shape of that array.

    By the complex step where the learner's function can be called with complex numbers and agrees with the central
    differences; by central differences otherwise.
    """
    central = tuple(_by(loss, at, k, _central) for k in range(len(at)))
    try:
        with np.errstate(all="ignore"):
            exact = tuple(_by(loss, at, k, _complex) for k in range(len(at)))
    except Exception:  # the learner's function does not take complex numbers
        return central
    agree = all(np.allclose(c, e, rtol=1e-5, atol=1e-7) for c, e in zip(central, exact, strict=True))
    return exact if agree else central


def _by(loss: Callable[..., Any], at: Sequence[np.ndarray], k: int, step: Callable[..., float]) -> np.ndarray:
    derivative = np.zeros(at[k].shape)
    for place in np.ndindex(at[k].shape):
        derivative[place] = step(loss, at, k, place)
    return derivative


def _central(loss: Callable[..., Any], at: Sequence[np.ndarray], k: int, place: tuple[int, ...]) -> float:
    values = []
    for change in (H, -H):
        moved = [array.copy() for array in at]
        moved[k][place] += change
        values.append(float(loss(*moved)))
    return (values[0] - values[1]) / (2 * H)


def _complex(loss: Callable[..., Any], at: Sequence[np.ndarray], k: int, place: tuple[int, ...]) -> float:
    moved = [array.astype(complex) if i == k else array.copy() for i, array in enumerate(at)]
    moved[k][place] += 1j * COMPLEX_H
    return float(np.imag(loss(*moved))) / COMPLEX_H
