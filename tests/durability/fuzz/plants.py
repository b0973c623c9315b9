"""Weak readers, one for each thing that the harness has to notice: `run.py --plant NAME` must find it."""

import json
import os

import numpy as np
from forgery import reseal

from ppo_np.saving import checkpoint, hdf5
from ppo_np.saving.hdf5 import START

PLANTS = ("seal", "eval", "memory", "hang", "crash", "traceback")
_unpack = hdf5.unpack


def without_seal(data):
    """Does not look at the seal; the checksums of the arrays it does."""
    return _unpack(reseal(data) if len(data) > START else data)


def with_eval(data):
    """Reads the list as Python."""
    if data.startswith(hdf5.MAGIC):
        eval(data[START : data.find(b"\n", START)], {"null": None})
    return _unpack(data)


def with_memory(data):
    """Makes room for what the file asks for before it has looked at how long the file is."""
    np.zeros(64 * len(data) + 2**21, np.uint8)
    return _unpack(data)


def hanging(data):
    """Comes to no end."""
    while True:
        pass


def crashing(data):
    """Takes the process with it."""
    os.abort()


def with_traceback(data):
    """Lets exceptions out."""
    json.loads(data[START : data.index(b"\n", START)])
    return _unpack(data)


_READERS = dict(zip(PLANTS, (without_seal, with_eval, with_memory, hanging, crashing, with_traceback), strict=True))


def plant(name: str) -> None:
    """Let `read_checkpoint` and `read_crash` use a weak reader; none for an empty name."""
    if name:
        checkpoint.unpack = _READERS[name]
