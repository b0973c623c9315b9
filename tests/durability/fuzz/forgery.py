"""What an adversary can do who knows the format: edits of the list and of the arrays, under a seal that is right."""

import hashlib
import json
import random
from collections.abc import Callable
from copy import deepcopy

import numpy as np

from ppo_np.saving.hdf5 import HDF5_SIGNATURE, MAGIC, SMALLEST_BLOCK, START, pack, unpack

Forgery = Callable[[bytes, random.Random], bytes]

HUGE = (2**31, 2**63, 2**64, 10**18, 10**30, 10**400, int("9" * 4000))
ODD = (None, True, "", "x", "\n", [], {}, [[]], -1, 0, 1, 1.5, -0.0, float("nan"), float("inf"), *HUGE)
MEAN = (":x", ".:x", "\x1b[2J", "[/x]", 2**20, 10**9, 10**399, 1e-300, 2**32, 2**63 - 1)
SHAPES = (
    *ODD, [2**31], [2**63], [10**30], [2**31] * 4, [10**400] * 32, [0, 10**30], [0, 2**62], [1] * 32, [1] * 33,
    [1] * 20_000, [-1], [-1, -1], [1.5], [True], ["3"], [None], [[1]], [float("nan")], "12", [0], [0] * 32,
)  # fmt: skip
DTYPES = (
    *ODD, "O", "|O", "|V8", "<M8[s]", "<m8[s]", "|S4", "<U4", ">f4", "<f16", "<c8", "f4,f4", "f4", "float32", "|b1",
    "<f8", "|i1", "<u8", [["a", "<f4"]], {"names": ["a"], "formats": ["O"]}, "O" * 1000,
)  # fmt: skip
NAMES = ("", "/", ".", "..", "/a", "a//b", "../../x", "\x00", "a\nb", "\x1b[2J", "x" * 10_000, "__class__", "é" * 300)
NUMBERS = (np.nan, np.inf, -np.inf, -1, 0, 2, 2**31, 2**62, -(2**62), 1e300)


def reseal(data: bytes) -> bytes:
    """The bytes with the seal that belongs to them."""
    body = data[START:]
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def taken_apart(data: bytes) -> tuple[dict, bytes]:
    """The list as it stands in the head, with offsets from the end of the head's block, and all that is behind it."""
    block = data.index(HDF5_SIGNATURE)
    return moved(json.loads(data[START : data.index(b"\n", START)]), -block), data[block:]


def put_together(head: object, rest: bytes, edit: Callable[[bytes], bytes] = bytes) -> bytes:
    """The inverse of `taken_apart`, under a seal that is right; `edit` has the last word on the text of the list."""
    block, text = SMALLEST_BLOCK, None
    while text is None or START + len(text) + 1 > block:
        block *= 2
        text = edit(json.dumps(moved(head, block)).encode())
    return reseal(b"\0" * START + (text + b"\n").ljust(block - START, b"\0") + rest)


def moved(head: object, distance: int) -> object:
    """The list with other offsets, where they are some that can be moved."""
    head = deepcopy(head)
    arrays = head.get("arrays") if isinstance(head, dict) else None
    for entry in arrays.values() if isinstance(arrays, dict) else ():
        if isinstance(entry, list) and len(entry) > 2 and type(entry[2]) is int and 0 <= entry[2] < 2**30:
            entry[2] = max(0, entry[2] + distance)
    return head


def edit_entry(data, rng):
    """One of dtype, shape, offset and checksum is something else, or there are more or fewer than four."""
    head, rest = taken_apart(data)
    arrays = head["arrays"]
    name = rng.choice(list(arrays))
    column = rng.randrange(6)
    if column < 4:
        end = len(data)
        offsets = (*ODD, end, end - 1, end + 1, -end, rng.randrange(end), float(rng.randrange(end)))
        arrays[name][column] = rng.choice((DTYPES, SHAPES, offsets, ODD)[column])
    elif column == 4:
        arrays[name] = rng.choice((arrays[name][:3], [*arrays[name], 1], {"a": 1}, "abcd", *ODD))
    else:
        arrays[name] = list(arrays[rng.choice(list(arrays))])
    return put_together(head, rest)


def edit_head(data, rng):
    """The list as a whole: keys missing, of other types, nested deeply, named twice, without an end."""
    head, rest = taken_apart(data)
    kind = rng.randrange(8)
    if kind == 0:
        del head[rng.choice(list(head))]
    elif kind == 1:
        head[rng.choice(list(head))] = rng.choice(ODD)
    elif kind == 2:
        return put_together(rng.choice(ODD), rest)
    elif kind == 3:
        depth, (left, right) = rng.choice((10, 900, 5000, 400_000)), rng.choice(("[]", ('{"a":', "}")))
        text = (left * depth + "1" + right * depth).encode()[:2_000_000]
        return put_together(None, rest, lambda _: text)
    elif kind == 4:
        return put_together(head, rest, lambda text: text[:-1] + b", " + text[1:])
    elif kind == 5 and rng.random() < 0.5:
        text = rng.choice((b"", b" " * 2**20, b"9" * 5000, b"NaN", b"\xff\xfe", b'"\\ud800"'))
        return put_together(None, rest, lambda _: text)
    elif kind == 5:
        encoding = rng.choice(("utf-16", "utf-32", "utf-16-le", "utf-32-be"))
        return put_together(head, rest, lambda text: text.decode().encode(encoding))
    elif kind == 6:
        return reseal(data[:START] + json.dumps(head).encode().ljust(2**20 + 1))
    else:
        head |= {rng.choice(NAMES): rng.choice(ODD) for _ in range(3)}
    return put_together(head, rest)


def edit_names(data, rng):
    """Arrays are called something else, or many names stand for the same numbers."""
    head, rest = taken_apart(data)
    arrays = head["arrays"]
    name = max(arrays, key=lambda n: len(json.dumps(arrays[n][1]))) if rng.random() < 0.5 else rng.choice(list(arrays))
    if rng.random() < 0.5:
        arrays[rng.choice(NAMES)] = arrays.pop(name)
        return put_together(head, rest)
    odd = rng.choice(NAMES)
    arrays[odd] = [rng.choice(("O", arrays[name][0])), [10**9], *arrays[name][2:]]
    return put_together(head, rest)


def repeat_whole_file(data, rng):
    """The list has thousands of arrays, each of which is the file as a whole."""
    head, rest = taken_apart(data)
    entry = ["|u1", [len(rest)], 0, hashlib.sha256(rest).hexdigest()]
    entries = rng.choice((10, 100, 1000))
    return put_together(head | {"arrays": {f"a{i}": list(entry) for i in range(entries)}}, rest)


def edit_attributes(data, rng):
    """Attributes: others, of other types, missing; or a value somewhere in their JSON documents is odd."""
    head, rest = taken_apart(data)
    attributes = head["attributes"]
    name = rng.choice(list(attributes))
    if rng.random() < 0.2:
        attributes[name] = rng.choice((*ODD, "[" * 10_000, "9" * 5000, "NaN", "1e999", "{", "[]", "null"))
    elif rng.random() < 0.1:
        del attributes[name]
    else:
        name = rng.choice([n for n in ("config", "config", "rng", "versions", "head") if n in attributes])
        attributes[name] = json.dumps(with_something_odd(json.loads(attributes[name]), rng))
    return put_together(head, rest)


def with_something_odd(document, rng):
    """A JSON document with one of its values, at any depth, replaced, left out or renamed."""
    if not isinstance(document, dict | list) or not document or rng.random() < 0.1:
        return rng.choice((*ODD, *MEAN, "module:name", [-1], [0], [10**9], [float("nan")], ["a"], "[" * 100))
    keys = list(document) if isinstance(document, dict) else range(len(document))
    key = rng.choice(keys)
    if rng.random() < 0.1:
        del document[key]
    elif rng.random() < 0.1 and isinstance(document, dict):
        document[rng.choice(NAMES)] = document.pop(key)
    else:
        document[key] = with_something_odd(document[key], rng)
    return document


def edit_arrays(data, rng):
    """Numbers, shapes and types of whole arrays, under checksums that are right."""
    arrays, attributes = unpack(data)
    name = rng.choice(list(arrays))
    if rng.random() < 0.5:  # counters, environments, statistics: the small ones that decide most
        name = rng.choice([n for n in arrays if not n.startswith(("parameters", "adam"))] or [name])
    array = arrays[name]
    kind = rng.randrange(6)
    if kind == 0:
        del arrays[name]
    elif kind == 1:
        with np.errstate(all="ignore"):
            arrays[name] = array.astype(rng.choice(("f2", "f4", "f8", "i1", "i8", "u1", "u8")))
    elif kind == 2:
        arrays[name] = rng.choice((array.reshape(-1), array[None], array.reshape(-1)[:-1], np.zeros(()), np.zeros(0)))
    elif kind == 3:
        arrays[name] = np.full(array.shape, rng.choice(NUMBERS))
    else:
        with np.errstate(all="ignore"):
            array.reshape(-1)[rng.randrange(array.size or 1) : None] = np.array(rng.choice(NUMBERS)).astype(array.dtype)
    return pack(arrays, attributes)


FORGERIES: list[Forgery] = [
    edit_entry, edit_head, edit_names, repeat_whole_file, edit_attributes, edit_attributes, edit_arrays, edit_arrays,
]  # fmt: skip
