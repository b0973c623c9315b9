"""Checks for numbers that are NaN, infinite or too large."""

from kernels._jit import kernel


@kernel
def first_outside(x, limit):
    """Index of the first number that is not within +-limit. NaN is never within the limit.

    i = the smallest i for which |x_i| <= limit is false, or -1 if there is none

    Derivation: docs/gradients.md, "Numbers out of range".

    Args:
        x: numbers, (B,).
        limit: largest allowed magnitude, >= 0.

    Returns:
        The index, or -1.
    """
    for i in range(x.shape[0]):
        if not abs(x[i]) <= limit:
            return i
    return -1


@kernel
def all_finite(x):
    """Whether all numbers are finite, that is, none is NaN or infinite.

    sum_i 0 x_i = 0

    0 x is NaN if x is NaN or infinite, and then the sum is NaN as well. The loop has no comparison, so it uses SIMD.

    Derivation: docs/gradients.md, "Numbers out of range".

    Args:
        x: numbers, (B,).

    Returns:
        True or False.
    """
    zero = x.dtype.type(0)
    total = zero
    for i in range(x.shape[0]):
        total += x[i] * zero
    return total == zero
