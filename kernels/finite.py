"""A search for numbers that have no place in a computation."""

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
