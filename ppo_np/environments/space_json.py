"""Spaces as JSON documents, so that a checkpoint says what its policy sees and does without its environment.

A document names the kind and holds the arguments of the constructor:

    {"kind": "Box", "shape": [3], "dtype": "float32", "low": -1.0, "high": [1.0, 1.0, 8.0]}

Bounds that are all the same are one number. What is read becomes one of Gymnasium's own spaces: nothing is imported.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

Document = dict[str, Any]


def to_json(space: spaces.Space) -> Document | None:
    """The document of a space; None if it is of another kind than those of which observations can consist."""
    for kind, document in _DOCUMENTS.items():
        if isinstance(space, kind):
            parts = document(space)
            complete = all(part is not None for part in (*parts.values(), *parts.get("spaces", ())))
            return {"kind": kind.__name__, **parts} if complete else None
    return None


def of_json(document: Mapping[str, Any], largest: int) -> spaces.Space:
    """The space of a document.

    Args:
        document: from a file, which may have been forged.
        largest: how many numbers the flattened space may have: a small document can name a large space.

    Raises:
        ValueError, TypeError, KeyError or what else `MALFORMED` of ppo_np/saving/hdf5.py names: It is not a document of
            `to_json`, or too large.
    """
    if (size := _size(document)) > largest:
        raise ValueError(f"a space has {size} numbers, but the network has only {largest}")
    try:
        return _built(document)
    except (AssertionError, gymnasium.error.Error) as error:  # Gymnasium's own checks of the arguments
        raise ValueError(str(error)) from error


def _box(space: spaces.Box) -> Document:
    return {
        "shape": list(space.shape), "dtype": str(space.dtype), "low": _bound(space.low), "high": _bound(space.high),
    }  # fmt: skip


def _bound(side: np.ndarray) -> Any:
    return side.flat[0].item() if side.size and (side == side.flat[0]).all() else side.reshape(-1).tolist()


def _discrete(space: spaces.Discrete) -> Document:
    own_dtype = {} if space.dtype == np.int64 else {"dtype": str(space.dtype)}  # which old versions of Gymnasium lack
    return {"n": int(space.n), "start": int(space.start), **own_dtype}


def _multi_discrete(space: spaces.MultiDiscrete) -> Document:
    return {"nvec": space.nvec.tolist(), "start": space.start.tolist(), "dtype": str(space.dtype)}


def _dict(space: spaces.Dict) -> Document:
    return {"keys": list(space.spaces), "spaces": list(map(to_json, space.spaces.values()))}


_DOCUMENTS: dict[type[spaces.Space], Callable[[Any], Document]] = {
    spaces.Box: _box,
    spaces.Discrete: _discrete,
    spaces.MultiDiscrete: _multi_discrete,
    spaces.MultiBinary: lambda space: {"n": space.n if isinstance(space.n, int) else list(space.shape)},
    spaces.Text: lambda space: {
        "max_length": space.max_length, "min_length": space.min_length,
        "characters": list(map(ord, space.character_list)),
    },
    spaces.Dict: _dict,
    spaces.Tuple: lambda space: {"spaces": list(map(to_json, space.spaces))},
    spaces.OneOf: lambda space: {"spaces": list(map(to_json, space.spaces))},
}  # fmt: skip


def _size(document: Mapping[str, Any]) -> int:
    """How many numbers a space has at most, flattened, before it is built."""
    if "spaces" in document:
        return 1 + sum(map(_size, document["spaces"]))
    if document["kind"] in ("Box", "MultiBinary"):
        lengths = document.get("shape", document.get("n"))
        return math.prod([lengths] if isinstance(lengths, int) else [abs(int(length)) for length in lengths])
    return int(np.sum(document.get("nvec", document.get("n", document.get("max_length")))))


def _side(bound: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    numbers = np.array(bound, dtype)
    return numbers.reshape(shape) if numbers.ndim else np.full(shape, numbers)


def _built(document: Mapping[str, Any]) -> spaces.Space:
    parts = {name: part for name, part in document.items() if name != "kind"}
    match document["kind"]:
        case "Box":
            dtype, shape = np.dtype(parts["dtype"]), tuple(parts["shape"])
            low, high = (_side(parts[side], shape, dtype) for side in ("low", "high"))
            return spaces.Box(low, high, shape, dtype.type)
        case "Discrete":
            own_dtype = {"dtype": np.dtype(parts["dtype"]).type} if "dtype" in parts else {}
            return spaces.Discrete(parts["n"], start=parts["start"], **own_dtype)
        case "MultiDiscrete":
            nvec, start = np.array(parts["nvec"]), np.array(parts["start"])
            return spaces.MultiDiscrete(nvec, np.dtype(parts["dtype"]).type, start=start)
        case "MultiBinary":
            return spaces.MultiBinary(parts["n"])
        case "Text":
            characters = "".join(map(chr, parts["characters"]))
            return spaces.Text(parts["max_length"], min_length=parts["min_length"], charset=characters)
        case "Dict":
            return spaces.Dict(list(zip(parts["keys"], map(_built, parts["spaces"]), strict=True)))
        case "Tuple":
            return spaces.Tuple(map(_built, parts["spaces"]))
        case "OneOf":
            return spaces.OneOf(map(_built, parts["spaces"]))
    raise ValueError(f"there is no space of the kind {document['kind']!r:.50}")
