"""The form of a result: structure, shapes, dtypes, finite numbers, unchanged arguments; sentences about exceptions."""

import re
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ppo_np.course.exercise import FLOOR, ContractError, Exercise, Point, leaves

PLAIN_WORDS = {
    r"mismatch in its core dimension .* \(size (\d+) is different from (\d+)\)":
        "Columns of the first array: {1}; rows of the second: {0}. In a matrix product these must be equal.",
    r"could not be broadcast together with shapes (\([\d,]*\)) (\([\d,]*\))":
        "These shapes do not fit: {0} and {1}. Counted from the last axis, lengths must be equal or 1.",
    r"truth value of an array":
        "if, and, or, not, max and min take one number. For arrays: np.where, np.maximum, np.minimum, &, |, ~.",
    r"only (?:0-dimensional|length-1|size-1) arrays can be converted":
        "float() and the functions of math take one number. For arrays: the functions of NumPy, such as np.exp.",
    r"bitwise_xor": "In Python, a power is written **; ^ is something else.",
    r"name 'np' is not defined": "NumPy is not imported in this file: import numpy as np.",
    r"unexpected keyword argument '(dim|keepdim)'": "{0} is PyTorch's name; NumPy's names are axis and keepdims.",
    r"numpy\.ndarray' object has no attribute '(\w+)'": "NumPy's arrays have no {0}. Is it PyTorch's?",
    r"No module named 'torch'": "The course is written with NumPy alone.",
}  # fmt: skip


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
    parts, others = (result, right) if len(outputs) > 1 else ((result,), (right,))
    if not (isinstance(parts, tuple | list) and len(parts) == len(outputs)):
        raise ContractError(f"Your function must return {len(outputs)} values: {', '.join(outputs)}.")
    try:
        for name, part, other in zip(outputs, parts, others, strict=True):
            check_structure(part, other, name)
    except ContractError as error:
        all_of_them = f" Your function must return {', '.join(outputs)}." if len(outputs) > 1 else ""
        raise ContractError(f"{error}{all_of_them}") from None
    yours, others = named_arrays(result, outputs), named_arrays(right, outputs)
    shapes = [[array.shape for _, array in arrays] for arrays in (yours, others)]
    for (name, array), (_, other) in zip(yours, others, strict=True):
        if array.shape != other.shape:
            swapped = len(yours) == len(outputs) and sorted(shapes[0]) == sorted(shapes[1])
            why = f" Is the order {', '.join(outputs)}?" if swapped else _why(array, other)
            raise ContractError(f"{name} has the shape {array.shape}, but it must be {other.shape}.{why}")
        if array.dtype.kind not in {"f": "f", "i": "iu", "b": "b", "u": "iu"}.get(other.dtype.kind, array.dtype.kind):
            raise ContractError(f"{name} has the dtype {array.dtype}, but it must be {other.dtype}.")
        if array.dtype.kind == "f" and array.dtype.itemsize < 8:
            raise ContractError(f"{name} has the dtype {array.dtype}, but it must be float64, like the arguments.")
        if array.dtype.kind == "f" and not np.isfinite(array).all() and np.isfinite(other).all():
            place = [int(i) for i in np.argwhere(~np.isfinite(array))[0]]
            raise ContractError(f"{name} at {place} is {array[tuple(place)]}, not a finite number.")


def check_structure(value: Any, right: Any, name: str) -> None:
    """Raise ContractError unless lists, tuples, dicts and arrays are nested in `value` as in `right`."""
    if isinstance(right, dict) and isinstance(value, dict):
        pairs = [(value.get(key), part, f"{name}[{key!r}]") for key, part in right.items()]
        if set(value) != set(right):
            keys = ", ".join(map(repr, right))
            raise ContractError(f"{name} must have the keys {keys}, but yours has {', '.join(map(repr, value))}.")
    elif isinstance(right, list | tuple) and isinstance(value, list | tuple) and len(value) == len(right):
        pairs = [(value[i], right[i], f"{name}[{i}]") for i in range(len(right))]
    elif isinstance(right, dict | list | tuple) or isinstance(value, dict | list | tuple):
        to_array = " Make an array of it: np.array(...)." if isinstance(value, list) and not _is_nested(right) else ""
        raise ContractError(f"{name} must be {_kind(right)}, but yours is {_kind(value)}.{to_array}")
    else:
        pairs = []
    for inner, other, inner_name in pairs:
        check_structure(inner, other, inner_name)


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list | tuple)


def _kind(value: Any) -> str:
    """What a value is, in words."""
    if _is_nested(value):
        return f"a {type(value).__name__} of {len(value)}"
    if value is None:
        return "None"
    return "an array" if np.ndim(value) else "a number"


def _why(array: np.ndarray, right: np.ndarray) -> str:
    """A reason for a wrong shape, if it is a well-known one."""
    if right.ndim == 1 and array.shape == (len(right), len(right)):
        return (
            " Is a sum over one axis missing? Or has an array (B, 1) met an array (B,)? That gives (B, B), and so does"
            " x[:, i] in place of x[np.arange(B), i]."
        )
    if right.ndim == 1 and array.shape == (len(right), 1):
        return " A column (B, 1) is not a vector (B,)."
    if array.shape == right.T.shape:
        return " It is transposed."
    if right.ndim and array.ndim == 0:
        return " It is one number, but each entry needs its own."
    if right.size > 1 and array.size == 1:
        return " Was the sum or the mean taken over too much?"
    if right.ndim == 0 and array.size > 1:
        return " One number is asked for: is a sum or a mean missing?"
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


def exception_text(error: BaseException) -> str:
    """The type of an exception and its text, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


def exception_sentence(error: BaseException, file: str) -> str:
    """What was raised and in which line of the learner's file, in one sentence."""
    what = exception_text(error)
    if isinstance(error, UnicodeDecodeError):
        return f"{Path(file).name} is not a text in UTF-8. Save it again with this encoding."
    if isinstance(error, SyntaxError):
        where = f": line {error.lineno} of {Path(error.filename or file).name}" if error.lineno else ""
        return f"{what.partition(' (')[0]}{where}."
    folder = Path(file).parent
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent == folder]
    if not frames:
        return f"{what}."
    line = f": {frames[-1].line}" if frames[-1].line else ""
    return f"{what}, in line {frames[-1].lineno} of {Path(frames[-1].filename).name}{line}"


def in_plain_words(sentence: str) -> str | None:
    """What a well-known error of Python or NumPy means, and what to do; None for any other one."""
    for pattern, words in PLAIN_WORDS.items():
        found = re.search(pattern, sentence)
        if found:
            return words.format(*found.groups())
    return None
