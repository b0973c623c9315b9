"""The form of a result: structure, shapes, dtypes, finite numbers, unchanged arguments; sentences about exceptions."""

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ppo_np.course.exercise import FLOOR, ContractError, Exercise, Point, leaves


def checked_result(exercise: Exercise, function: Any, point: Point, right: Any) -> Any:
    """What a function returns at a point. Raises ContractError if that cannot be compared with `right`."""
    arguments = point.arguments(exercise.arguments)
    result = exercise.call(function, arguments) if exercise.call else function(*arguments)
    for name, argument in zip(exercise.arguments, arguments, strict=True):
        if not _identical(argument, getattr(point, name)):
            raise ContractError(f"Your function changed its argument {name}: work on a copy.")
    check_form(result, right, exercise.outputs)
    return result


def named_arrays(result: Any, outputs: Sequence[str]) -> list[tuple[str, np.ndarray]]:
    """The arrays in a result with their names: `outputs` if it is a tuple of so many, with indices if it is nested."""
    parts = (result,) if len(outputs) == 1 else result
    found = [pair for name, part in zip(outputs, parts, strict=True) for pair in leaves(part, name)]
    return [(name, np.asarray(value)) for name, value in found]


def check_form(result: Any, right: Any, outputs: Sequence[str]) -> None:
    """Raise ContractError unless the result has the same structure, shapes and kinds of numbers as the right one."""
    if result is None:
        raise ContractError("Your function returns nothing (None): does it end with return?")
    if len(outputs) > 1 and not (isinstance(result, tuple | list) and len(result) == len(outputs)):
        raise ContractError(f"Your function must return {len(outputs)} values: {', '.join(outputs)}.")
    yours, others = named_arrays(result, outputs), named_arrays(right, outputs)
    if [name for name, _ in yours] != [name for name, _ in others]:
        raise ContractError(f"Your function must return {', '.join(name for name, _ in others)}, one array each.")
    for (name, array), (_, other) in zip(yours, others, strict=True):
        if array.shape != other.shape:
            raise ContractError(
                f"{name} has the shape {array.shape}, but it must be {other.shape}.{_why(array, other)}"
            )
        if array.dtype.kind not in {"f": "f", "i": "iu", "b": "b", "u": "iu"}.get(other.dtype.kind, array.dtype.kind):
            raise ContractError(f"{name} has the dtype {array.dtype}, but it must be {other.dtype}.")
        if array.dtype.kind == "f" and array.dtype.itemsize < 8:
            raise ContractError(f"{name} has the dtype {array.dtype}, but it must be float64, like the arguments.")
        if array.dtype.kind == "f" and not np.isfinite(array).all() and np.isfinite(other).all():
            place = [int(i) for i in np.argwhere(~np.isfinite(array))[0]]
            raise ContractError(f"{name} at {place} is {array[tuple(place)]}, not a finite number.")


def _why(array: np.ndarray, right: np.ndarray) -> str:
    """A reason for a wrong shape, if it is a well-known one."""
    if right.ndim == 1 and array.shape == (len(right), len(right)):
        return " An array (B, 1) and an array (B,) together give (B, B)."
    if right.ndim == 1 and array.shape == (len(right), 1):
        return " A column (B, 1) is not a vector (B,)."
    if array.shape == right.T.shape:
        return " It is transposed."
    if right.size > 1 and array.size == 1:
        return " Was the sum or the mean taken over too much?"
    return ""


def close(yours: np.ndarray, right: np.ndarray, tolerance: float) -> bool:
    """Whether |yours - right| <= tolerance (|yours| + |right|) + floor, norms over the whole array."""
    if tolerance == 0 or right.dtype.kind in "biu":
        return bool(np.array_equal(yours, right))
    scale = np.linalg.norm(yours) + np.linalg.norm(right)
    return bool(np.linalg.norm(yours - right) <= tolerance * scale + FLOOR)


def _identical(a: Any, b: Any) -> bool:
    pairs = list(zip(leaves(a, ""), leaves(b, ""), strict=False))
    arrays = [(x, y) for (_, x), (_, y) in pairs if isinstance(x, np.ndarray)]
    return all(np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in arrays)


def exception_sentence(error: BaseException, file: str) -> str:
    """What was raised and in which line of the learner's file, in one sentence."""
    what = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
    if isinstance(error, SyntaxError) and error.lineno:
        return f"{what.partition(' (')[0]}: line {error.lineno} of {Path(error.filename or file).name}."
    folder = Path(file).parent
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent == folder]
    if not frames:
        return f"{what}."
    line = f": {frames[-1].line}" if frames[-1].line else ""
    return f"{what}, in line {frames[-1].lineno} of {Path(frames[-1].filename).name}{line}"
