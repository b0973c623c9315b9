"""Numbers that have no place in a computation: where the first one is, or whether there is one."""

from kernels._jit import kernel


@kernel
def first_outside(x, limit):
    """Where the first number stands that is not within +-limit; NaN is not.

    i = the smallest i with not |x_i| <= limit, or -1 if there is none

    Derivation: docs/gradients.md, "Numbers out of range".

    Args:
        x: numbers, (B,).
        limit: >= 0.

    Returns:
        The index, or -1.
    """
    for i in range(x.shape[0]):
        if not abs(x[i]) <= limit:
            return i
    return -1


@kernel
def all_finite(x):
    """Whether there is neither NaN nor an infinity among the numbers.

    sum_i 0 x_i = 0

    0 x is NaN if x is NaN or infinite, and a NaN in a sum stays. Without a comparison for each number the loop is SIMD.

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
