"""A call of a learner's function: copies go in, arrays of the right shapes come out, and mistakes become a sentence."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ppo_np.course.training.comparison import Comparison
from ppo_np.errors import RunError, UserError, short

# To which results are rounded. Adam's small steps must add up in the parameters, so these keep more. Float64 has 53
# bits, and float32, the type of the package's arrays, has 24.
RESULT_BITS, PARAMETER_BITS = 16, 22
# Where `rounded` changes from one number to the next: away from the numbers that computations often give exactly.
OFF_HALVES, OFF_POWERS = 0.50618034, 1.27201965

Array = np.ndarray
Functions = Mapping[str, Callable[..., Any]]
Targets = Sequence[tuple[str, Array | None]]  # the name of each result, and where it goes; None: nowhere


class FunctionFault(UserError):  # noqa: N818  a fault of the learner's function, not of ours
    """A learner's function raised an exception, or returned something of a wrong kind; the message names it.

    Attributes:
        function: its name.
    """

    def __init__(self, function: str, what: str):
        super().__init__(f"{function} {what}.")
        self.function = function


def rounded(x: Array, bits: int) -> Array:
    """Numbers of float64 rounded to multiples of 2^-bits of the largest: of a power of two above it, to be exact.

    The largest number of the array counts, and not each number by itself: a small number in a gradient is often a
    difference of large ones, and then fewer of its own bits are certain.

    Halves are rounded up, and so is what lies just below a half: numbers that are a half on paper, such as 0.98 x 25 in
    units of 1, are computed a little above or below it. In the same way, the powers of two are no borders of the unit.
    """
    largest = max(x.max(initial=0), -x.min(initial=0))
    if not 1e-200 < largest < 1e200:  # 0, or NaN, or infinite
        return x
    scale = 2.0 ** (bits - np.frexp(OFF_POWERS * largest)[1])
    multiples = np.multiply(x, scale, out=np.empty(x.shape))
    multiples += OFF_HALVES
    np.floor(multiples, out=multiples)
    multiples /= scale
    return multiples


def copies(argument: Any) -> Any:
    """The argument with new arrays, contiguous, of float64 or int64 or bool; lists and tuples keep their kind."""
    if isinstance(argument, np.ndarray):
        kinds = {"f": np.float64, "i": np.int64, "u": np.int64}
        return np.array(argument, kinds.get(argument.dtype.kind, argument.dtype), order="C")
    if isinstance(argument, list | tuple):
        return type(argument)(copies(part) for part in argument)
    return argument


def flat(result: Any) -> list[Any]:
    """The arrays and numbers in nested lists and tuples, in order."""
    if isinstance(result, list | tuple):
        return [part for nested in result for part in flat(nested)]
    return [result]


class Caller:
    """Calls functions by name, and writes their results into arrays of the package.

    Args:
        functions: by name, with the signatures of the course.
        rounding: whether results are rounded.
        beside: other functions, called beside these on the same arguments. Their results are only compared.

    Attributes:
        functions: as given.
        comparison: of `beside` (yours) with `functions` (the product's).
    """

    def __init__(self, functions: Functions, rounding: bool, beside: Functions | None = None):
        self.functions = dict(functions)
        self.comparison = Comparison()
        self._rounding, self._beside = rounding, dict(beside or {})

    def __contains__(self, name: str) -> bool:
        return name in self.functions

    def call(self, name: str, arguments: Sequence[Any], targets: Targets, bits: int = RESULT_BITS) -> None:
        """Call a function, and write its rounded results to their places."""
        for (_, place), result in zip(targets, self.results(name, arguments, targets), strict=True):
            if place is not None:
                place[...] = self.rounded(result, bits)

    def results(self, name: str, arguments: Sequence[Any], targets: Targets) -> list[Array]:
        """The results of a function as it gives them, compared with those of the function beside it."""
        results = results_of(name, self.functions[name], arguments, targets)
        if name in self._beside:
            others = results_of(name, self._beside[name], arguments, targets)
            self.comparison.add(name, [target for target, _ in targets], others, results)
        return results

    def rounded(self, x: Array, bits: int) -> Array:
        """The result as the package gets it."""
        return rounded(x, bits) if self._rounding and x.dtype.kind == "f" else x


def called(name: str, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """What the function returns. Raises FunctionFault if it raises an exception."""
    try:
        return function(*arguments)
    except (FunctionFault, RunError):
        raise  # of another function, or of the environments, which `collect` has called
    except Exception as error:
        raise FunctionFault(name, f"raised {_described(error, function)}") from error


def results_of(name: str, function: Callable[..., Any], arguments: Sequence[Any], targets: Targets) -> list[Array]:
    """Call the function with copies of the arguments; return its results, one for each target, as it gave them.

    Raises FunctionFault if it raises an exception, or if a result has another shape than its target.
    """
    results = flat(called(name, function, copies(list(arguments))))
    names = ", ".join(target for target, _ in targets)
    if len(results) != len(targets):
        raise FunctionFault(name, f"returned {len(results)} arrays, but it must return {len(targets)}: {names}")
    return [_checked(name, target, result, place) for (target, place), result in zip(targets, results, strict=True)]


def _checked(name: str, target: str, result: Any, place: Array | None) -> Array:
    """The result as an array of the kind and shape of its place."""
    array = np.asarray(result)
    if array.dtype.kind not in "fiub":
        raise FunctionFault(name, f"returned {short(result, 60)} for {target}, but it must return numbers")
    if place is None:
        return array
    if array.shape != place.shape:
        raise FunctionFault(name, f"returned {target} of shape {array.shape}, but it must be {place.shape}")
    if place.dtype.kind == "i" and array.dtype.kind == "f":
        raise FunctionFault(name, f"returned {target} of type {array.dtype}, but it must be integers")
    return array


def _described(error: Exception, function: Callable[..., Any]) -> str:
    """The exception in words, with the line of the learner's file where it was raised."""
    text = " ".join(str(error).split()).rstrip(".")
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    code = getattr(function, "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if code and Path(f.filename).parent == Path(code.co_filename).parent]
    return f"{said} ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else said
