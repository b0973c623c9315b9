"""Named arrays in a sealed HDF5 file: h5py and h5ls read it like any other, and reading it here is safe.

An HDF5 file may begin with a user block, which HDF5 itself ignores. Ours is text:

    ppo_np sealed HDF5
    SHA-256 of everything after this line
    JSON: {"attributes": {...}, "arrays": {name: [dtype, shape, offset in the file, SHA-256], ...}}
    zeros up to a power of two

A few changed bytes can crash HDF5's library or send it into an endless loop (h5py issue 2947 lists CVEs). So HDF5
writes our files, but `unpack` does not use it: it checks the seal first, then takes plain numbers from the offsets in
the list.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

MAGIC = b"ppo_np sealed HDF5\n"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
SMALLEST_BLOCK, LARGEST_HEADER = 512, 2**20
CHECKSUM = "sha256"
START = len(MAGIC) + 64 + 1  # of the part that the seal covers
TYPES = {np.dtype(code).str for code in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")}
# What can be raised if a document in a file is not of the form that we wrote.
MALFORMED = (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)

Arrays = Mapping[str, np.ndarray]
Attributes = Mapping[str, str | int]


class SealError(Exception):
    """Bytes are not what `pack` made; the message says what is wrong, as the end of a sentence."""


def pack(arrays: Arrays, attributes: Attributes) -> bytes:
    """A sealed file as bytes.

    Args:
        arrays: numbers of any shape by name; / in a name makes groups.
        attributes: of the whole file; in HDF5 they are those of the root, with `complete` = 1 beside them.

    Raises:
        ValueError: An array is of a type that `unpack` refuses, or the list of arrays is too long for it.
    """
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    for name, array in arrays.items():
        if array.dtype.str not in TYPES:
            raise ValueError(f"{name} has the type {array.dtype}")
    checksums = {name: _checksum(array) for name, array in arrays.items()}
    size = sum(array.nbytes for array in arrays.values())
    longest = _head(arrays, checksums, attributes, dict.fromkeys(arrays, size + 2**40))
    if len(longest) > LARGEST_HEADER:
        raise ValueError(f"the list of arrays has {len(longest)} bytes, but at most {LARGEST_HEADER} are allowed")
    block = max(SMALLEST_BLOCK, 2 ** math.ceil(math.log2(START + len(longest))))
    image, offsets = _hdf5(arrays, checksums, attributes, block, size)
    body = _head(arrays, checksums, attributes, offsets).ljust(block - START, b"\0") + image
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def _head(arrays: Arrays, checksums: Mapping[str, str], attributes: Attributes, offsets: Mapping[str, int]) -> bytes:
    """The JSON line: attributes, and the list of arrays."""
    listed = {name: [a.dtype.str, list(a.shape), offsets[name], checksums[name]] for name, a in arrays.items()}
    return json.dumps({"attributes": dict(attributes), "arrays": listed}).encode() + b"\n"


def _hdf5(
    arrays: Arrays, checksums: Mapping[str, str], attributes: Attributes, block: int, size: int
) -> tuple[bytes, dict[str, int]]:
    """What follows a user block of `block` bytes, and the offset of each array, counted from the file's first byte."""
    import h5py  # 11 MB, not needed by a run that saves nothing

    room = size + 2**16  # all at once: growing in small steps takes longer
    with h5py.File("memory", "w", driver="core", backing_store=False, block_size=room, userblock_size=block) as file:
        file.attrs.update(attributes)
        datasets = {name: file.create_dataset(name, data=array) for name, array in arrays.items()}
        for name, dataset in datasets.items():
            dataset.attrs[CHECKSUM] = np.bytes_(checksums[name])
        file.attrs["complete"] = 1
        file.flush()
        offsets = {name: dataset.id.get_offset() or 0 for name, dataset in datasets.items()}  # None if it is empty
        return file.id.get_file_image(), offsets


def _checksum(array: np.ndarray) -> str:
    return hashlib.sha256(array.reshape(-1).view(np.uint8).data).hexdigest()


def unpack(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, str | int]]:
    """The arrays, each with its own memory, and the attributes that were packed.

    Raises:
        SealError: These are not bytes that `pack` made.
    """
    if not data.startswith(MAGIC):
        if data.startswith(HDF5_SIGNATURE):
            raise SealError("it is HDF5 without our seal; formats before 3 had none")
        raise SealError("it is not a file of ppo_np")
    if hashlib.sha256(memoryview(data)[START:]).hexdigest().encode() + b"\n" != data[len(MAGIC) : START]:
        raise SealError("it is damaged: its bytes do not match its seal")
    try:
        head = json.loads(str(data[START : data.index(b"\n", START, START + LARGEST_HEADER)], "utf-8"))
        entries, attributes = head["arrays"], head["attributes"]
        if not all(isinstance(value, str | int) for value in attributes.values()):
            raise SealError("an attribute is neither text nor an integer")
        arrays = [_view(data, name, *entry) for name, entry in entries.items()]
    except MALFORMED as error:
        raise SealError("the list of its arrays cannot be read") from error
    if sum(array.nbytes for array in arrays) > len(data):
        raise SealError("its arrays need more bytes than the file has")
    return {name: array.copy() for name, array in zip(entries, arrays, strict=True)}, attributes


def _view(data: bytes, name: str, dtype: Any, shape: Any, offset: Any, checksum: Any) -> np.ndarray:
    """A view of one array in the file's bytes, after a check of its entry in the list."""
    name = printable(name)
    if dtype not in TYPES:
        raise SealError(f"{name} has the type {printable(dtype)}")
    if not isinstance(shape, list) or len(shape) > 32 or not all(type(n) is int and n >= 0 for n in (*shape, offset)):
        raise SealError(f"{name} has the shape {printable(shape)} at {printable(offset)}")
    count = math.prod(shape)
    if offset + count * np.dtype(dtype).itemsize > len(data):
        raise SealError(f"{name} has the shape {printable(shape)}, which goes beyond the end of the file")
    array = np.frombuffer(data, dtype, count, offset).reshape(shape)
    if _checksum(array) != checksum:
        raise SealError(f"{name} is damaged: its numbers do not match their checksum")
    return array


def printable(value: Any) -> str:
    """A value from a file for a message: on one line, at most 100 characters."""
    text = value if isinstance(value, str) and value.isprintable() else repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."


def with_escapes(document: Any) -> Any:
    """A JSON document with printable strings only; lists and dicts change in place.

    The texts of a stranger's file are shown on terminals, where control characters are commands. So all texts that are
    read from a file come through here: the other characters become escapes like \\x1b.
    """
    if isinstance(document, str) and not document.isprintable():
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in document)
    if isinstance(document, list):
        document[:] = map(with_escapes, document)
    elif isinstance(document, dict):
        for name in list(document):
            document[with_escapes(name)] = with_escapes(document.pop(name))
    return document
