"""A part of a flat array as a matrix.

Numba counts the references to an array's memory, and each slice and each `reshape` changes the counter. That costs time
where the arithmetic is short: when a small network acts for a few environments.
"""

from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from kernels._jit import COMPILED


@intrinsic
def _compiled(typing_context, flat, start, rows, columns):
    """`matrix` for Numba; nothing is counted."""
    if flat.layout != "C":
        raise TypingError("matrix needs a contiguous array")
    of_result = types.Array(flat.dtype, 2, "C")

    def code(context, builder, signature, arguments):
        array = context.make_array(flat)(context, builder, arguments[0])
        start, rows, columns = arguments[1:]
        size = context.get_constant(types.intp, flat.dtype.bitwidth // 8)
        first, strides = builder.gep(array.data, [start]), (builder.mul(columns, size), size)
        result = context.make_array(of_result)(context, builder)
        populate_array(result, first, (rows, columns), strides, size, meminfo=None)
        return result._getvalue()

    return of_result(flat, *[types.intp] * 3), code


def _in_python(flat, start, rows, columns):
    """Consecutive numbers of an array as a matrix, row by row, in the same memory.

    Args:
        flat: contiguous, of any shape; it must exist for as long as the matrix.
        start: index of the first number, as if the array had one axis.
        rows, columns: of the matrix. Compiled code does not notice if they do not fit.

    Returns:
        (rows, columns).
    """
    return flat.reshape(-1)[start : start + rows * columns].reshape(rows, columns)


matrix = _compiled if COMPILED else _in_python
