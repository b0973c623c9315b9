"""Named arrays in a sealed HDF5 file, which h5py and h5ls can read, and which is safe to read here.

HDF5 allows a user block at the beginning of a file. Ours is text:

    ppo_np sealed HDF5
    SHA-256 of everything after this line
    JSON: {"attributes": {...}, "arrays": {name: [dtype, shape, offset in the file, SHA-256], ...}}
    zeros up to a power of two

A few changed bytes in a file can crash HDF5's library or send it into an endless loop (h5py issue 2947 lists CVEs). So
the library writes our files, but `unpack` does not use it: it checks the seal, then reads plain numbers from where the
list says they are.
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
START = len(MAGIC) + 64 + 1  # where the part begins that the seal covers
TYPES = {np.dtype(name).str for name in ("float32", "float64", "int8", "int16", "int32", "int64")}
TYPES |= {np.dtype(name).str for name in ("uint8", "uint16", "uint32", "uint64", "float16")}


class SealError(Exception):
    """Bytes are not what `pack` made; the message says what is wrong, as the end of a sentence."""


def pack(arrays: Mapping[str, np.ndarray], attributes: Mapping[str, str | int]) -> bytes:
    """A sealed file as bytes.

    Args:
        arrays: name, with / for groups -> numbers of any shape.
        attributes: of the whole file, at the root of the HDF5 file, together with `complete` = 1.

    Raises:
        ValueError: An array is of a type that `unpack` refuses, or the list of all is too long for it.
    """
    odd = [name for name, array in arrays.items() if np.asarray(array).dtype.str not in TYPES]
    if odd:
        raise ValueError(f"{odd[0]} has the type {arrays[odd[0]].dtype}")
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    checksums = {name: _checksum(array) for name, array in arrays.items()}
    longest = _head(
        arrays, checksums, attributes, dict.fromkeys(arrays, sum(a.nbytes for a in arrays.values()) + 2**40)
    )
    if len(longest) > LARGEST_HEADER:
        raise ValueError(f"the list of arrays has {len(longest)} bytes, but at most {LARGEST_HEADER} are allowed")
    block = max(SMALLEST_BLOCK, 2 ** math.ceil(math.log2(START + len(longest))))
    image, offsets = _hdf5(arrays, checksums, attributes, block)
    body = _head(arrays, checksums, attributes, offsets).ljust(block - START, b"\0") + image
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def _head(arrays: dict, checksums: dict, attributes: Mapping, offsets: Mapping[str, int]) -> bytes:
    """The list of what the file holds."""
    listed = {name: [a.dtype.str, list(a.shape), offsets[name], checksums[name]] for name, a in arrays.items()}
    return json.dumps({"attributes": dict(attributes), "arrays": listed}).encode() + b"\n"


def _hdf5(arrays: dict, checksums: dict, attributes: Mapping, block: int) -> tuple[bytes, dict[str, int]]:
    """What follows a user block of `block` bytes, and where each array begins, counted from the file's first byte."""
    import h5py  # 11 MB, which a run that saves nothing need not have

    room = sum(array.nbytes for array in arrays.values()) + 2**16  # in one piece: growing bit by bit takes longer
    with h5py.File("memory", "w", driver="core", backing_store=False, block_size=room, userblock_size=block) as file:
        file.attrs.update(attributes)
        datasets = {name: file.create_dataset(name, data=array) for name, array in arrays.items()}
        for name, dataset in datasets.items():
            dataset.attrs[CHECKSUM] = np.bytes_(checksums[name])
        file.attrs["complete"] = 1
        file.flush()
        # HDF5 gives no place to an array without numbers.
        offsets = {name: dataset.id.get_offset() or 0 for name, dataset in datasets.items()}
        return file.id.get_file_image(), offsets


def _checksum(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def unpack(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, str | int]]:
    """The arrays, each with memory of its own, and the attributes that were packed.

    Raises:
        SealError: These are not the bytes that `pack` gave.
    """
    if not data.startswith(MAGIC):
        if data.startswith(HDF5_SIGNATURE):
            raise SealError("it is HDF5 without our seal, which formats before 3 did not have")
        raise SealError("it is no file of ppo_np")
    if hashlib.sha256(memoryview(data)[START:]).hexdigest().encode() + b"\n" != data[len(MAGIC) : START]:
        raise SealError("it is damaged: its bytes do not match its seal")
    try:
        head = json.loads(str(data[START : data.index(b"\n", START, START + LARGEST_HEADER)], "utf-8"))
        entries, attributes = head["arrays"], head["attributes"]
        if not all(isinstance(value, str | int) for value in attributes.values()):
            raise SealError("an attribute is neither text nor an integer")
        arrays = [_view(name, data, *entry) for name, entry in entries.items()]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise SealError("the list of its arrays cannot be read") from error
    if sum(array.nbytes for array in arrays) > len(data):
        raise SealError("its arrays need more bytes than the file has")
    return {name: array.copy() for name, array in zip(entries, arrays, strict=True)}, attributes


def _view(name: str, data: bytes, dtype: Any, shape: Any, offset: Any, checksum: Any) -> np.ndarray:
    """One array in the file's own bytes, if it is one of plain numbers that lies there as a whole."""
    name = _short(name)
    if dtype not in TYPES:
        raise SealError(f"{name} has the type {_short(dtype)}")
    if not isinstance(shape, list) or len(shape) > 32 or not all(type(n) is int and n >= 0 for n in (*shape, offset)):
        raise SealError(f"{name} has the shape {_short(shape)} at {_short(offset)}")
    count = math.prod(shape)
    if offset + count * np.dtype(dtype).itemsize > len(data):
        raise SealError(f"{name} has the shape {_short(shape)}, which goes beyond the end of the file")
    array = np.frombuffer(data, dtype, count, offset).reshape(shape)
    if _checksum(array) != checksum:
        raise SealError(f"{name} is damaged: its numbers do not match their checksum")
    return array


def _short(value: Any) -> str:
    """What a file says, for a message: on one line and not long."""
    text = value if isinstance(value, str) and value.isprintable() else repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
