"""What can happen to the bytes of a file, whoever does it: one function a kind of damage, bytes in, bytes out."""

import random
from collections.abc import Callable

from ppo_np.saving.hdf5 import HDF5_SIGNATURE, START

Damage = Callable[[bytes, random.Random, list[bytes]], bytes]


def place(data: bytes, rng: random.Random) -> int:
    """Somewhere in the file; its three parts (head, HDF5, data of the arrays) are hit about equally often."""
    hdf5 = max(data.find(HDF5_SIGNATURE), START)
    part = rng.choice([(0, hdf5), (hdf5, min(hdf5 + 4096, len(data))), (0, len(data))])
    return rng.randrange(part[0], max(part[1], part[0] + 1))


def stretch(data: bytes, rng: random.Random) -> tuple[int, int]:
    """Begin and end of a piece of the file, mostly a short one."""
    begin = place(data, rng)
    return begin, min(len(data), begin + int(2 ** rng.uniform(0, 12)))


def flip_bits(data, rng, others):
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        changed[place(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def change_bytes(data, rng, others):
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 64))):
        changed[place(data, rng)] = rng.choice((0, 0xFF, 0x7F, 0x80, rng.randrange(256)))
    return bytes(changed)


def cut_off(data, rng, others):
    return data[: rng.choice((place(data, rng), len(data) - rng.randint(1, 64)))]


def cut_out(data, rng, others):
    begin, end = stretch(data, rng)
    return data[:begin] + data[end:]


def insert(data, rng, others):
    begin, end = stretch(data, rng)
    return data[:begin] + rng.choice((rng.randbytes(end - begin), bytes(end - begin))) + data[begin:]


def append(data, rng, others):
    return data + rng.choice((bytes(rng.randint(1, 5000)), rng.randbytes(rng.randint(1, 5000)), data))


def swap_blocks(data, rng, others):
    size = rng.choice((4, 8, 64, 512))
    first, second = sorted((place(data, rng), place(data, rng)))
    second = max(second, first + size)
    middle = data[first + size : second]
    return data[:first] + data[second : second + size] + middle + data[first : first + size] + data[second + size :]


def duplicate_block(data, rng, others):
    begin, end = stretch(data, rng)
    target = place(data, rng)
    return data[:target] + data[begin:end] + data[target + rng.choice((0, end - begin)) :]


def splice(data, rng, others):
    other = rng.choice(others)
    return data[: place(data, rng)] + other[place(other, rng) :]


def zero_range(data, rng, others):
    begin, end = stretch(data, rng)
    return data[:begin] + rng.choice((b"\0", b"\xff")) * (end - begin) + data[end:]


def change_lengths(data, rng, others):
    """Overwrite a few bytes by a small, a huge or a negative number, as lengths and addresses are written."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 3))):
        size, at = rng.choice((2, 4, 8)), place(data, rng)
        value = rng.choice((0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), rng.randrange(2 ** (8 * size))))
        changed[at : at + size] = value.to_bytes(size, "little")
    return bytes(changed)


def change_digits(data, rng, others):
    """Change numbers in the head, which are written in decimal digits."""
    changed = bytearray(data)
    digits = [i for i in range(min(len(data), START + 8192)) if chr(data[i]).isdigit() and i >= START]
    for _ in range(rng.choice((1, 3))):
        if digits:
            changed[rng.choice(digits)] = rng.choice(b"0123456789-.eE")
    return bytes(changed)


DAMAGES: list[Damage] = [
    flip_bits, change_bytes, cut_off, cut_out, insert, append, swap_blocks, duplicate_block, splice, zero_range,
    change_lengths, change_digits,
]  # fmt: skip
