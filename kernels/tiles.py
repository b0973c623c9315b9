"""Products of narrow matrices, tile by tile: a tile of the result stays in the vector registers until it is done.

BLAS copies both matrices into an order of its own first, and for narrow layers that takes up to a third of its time
(`pytest bench/kernels --benchmark-enable -k product`). Numba has no vector types, so the innermost loop is written in
LLVM's language.
"""

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from kernels._jit import kernel

VECTOR_BYTES = 64 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 32
VECTORS = 2  # side by side in a tile
TILE_BYTES = VECTORS * VECTOR_BYTES  # in a row of a tile
ROWS = 4  # of a tile: 8 vectors of sums, because a core begins 2 sums per cycle, and each takes 4 cycles
CACHED = 2**14  # bytes of the second matrix that a tile reads before it is the next one's turn


def _tile(rows):
    """The function that computes a tile of so many rows.

    tile(a, b, start, c, r, o, k, terms):  c_ij <- s_ij + sum_l a_il b_lj,   r <= i < r + rows, o <= j < o + columns
    of a tile, k <= l < k + terms;   s_ij = start_j if k = 0, else c_ij. Indices out of bounds are not noticed.
    """

    @intrinsic
    def tile(typing_context, a, b, start, c, r, o, k, terms):
        if a.layout not in "CF" or any(array.layout != "C" for array in (b, start, c)):
            raise TypingError("product needs contiguous arrays")
        if a.dtype not in (types.float32, types.float64) or {b.dtype, start.dtype, c.dtype} != {a.dtype}:
            raise TypingError("product needs arrays of float32 or of float64")
        size = a.dtype.bitwidth // 8

        def code(context, builder, signature, arguments):
            arrays = [
                context.make_array(kind)(context, builder, array)
                for kind, array in zip(signature.args[:4], arguments, strict=False)
            ]
            r, o, k, terms = arguments[4:]
            vector = ir.VectorType(context.get_value_type(a.dtype), VECTOR_BYTES // size)
            nothing, all_lanes = vector(ir.Undefined), ir.VectorType(ir.IntType(32), vector.count)([0] * vector.count)
            number, fused = ir.IntType(64), ("contract",)

            def place(array, kind, row, column):
                """The address of a number in an array."""
                steps = cgutils.unpack_tuple(builder, array.shape)
                if kind.ndim == 1:
                    return builder.gep(array.data, [column])
                if kind.layout == "F":
                    row, column, steps = column, row, steps[::-1]
                return builder.gep(array.data, [builder.add(builder.mul(row, steps[1]), column)])

            def vectors(which, row):
                """The addresses of the vectors in a row of a tile."""
                first = builder.bitcast(place(arrays[which], signature.args[which], row, o), vector.as_pointer())
                return [builder.gep(first, [number(v)]) for v in range(VECTORS)]

            own_rows = [builder.add(r, number(i)) for i in range(rows)]
            sums = [[cgutils.alloca_once(builder, vector) for _ in range(VECTORS)] for _ in own_rows]
            first_terms = builder.icmp_signed("==", k, number(0))
            for row, totals in zip(own_rows, sums, strict=True):
                for total, begin, done in zip(totals, vectors(2, row), vectors(3, row), strict=True):
                    source = builder.select(first_terms, begin, done)
                    builder.store(builder.load(source, align=size), total)
            with cgutils.for_range(builder, terms) as loop:
                term = builder.add(k, loop.index)
                factors = [builder.load(one, align=size) for one in vectors(1, term)]
                for row, totals in zip(own_rows, sums, strict=True):
                    factor = builder.load(place(arrays[0], signature.args[0], row, term))
                    factor = builder.insert_element(nothing, factor, ir.IntType(32)(0))
                    factor = builder.shuffle_vector(factor, nothing, all_lanes)
                    for total, other in zip(totals, factors, strict=True):
                        added = builder.fmul(factor, other, flags=fused)
                        builder.store(builder.fadd(builder.load(total), added, flags=fused), total)
            for row, totals in zip(own_rows, sums, strict=True):
                for total, target in zip(totals, vectors(3, row), strict=True):
                    builder.store(builder.load(total), target, align=size)

        return types.void(a, b, start, c, *[types.intp] * 4), code

    return tile


_some_rows, _one_row = _tile(ROWS), _tile(1)


@kernel
def product(a, b, start, c):
    """Product of two matrices, with the same row added to each row of it.

    c_rj = start_j + sum_k a_rk b_kj

    The sum is in the order of k, each addition together with its product. So a row of the result does not depend on
    the other ones, nor on their number.

    Derivation: docs/gradients.md, "Linear layer".

    Args:
        a: (R, K), contiguous, or the transpose of such an array.
        b: (K, C), whose rows consist of whole tiles: C is a multiple of 16 in float32, or of 32 with AVX-512.
        start: (C,).
        c: output, (R, C), overwritten.
    """
    rows, columns, own_columns = c.shape[0], c.shape[1], TILE_BYTES // c.itemsize
    most = max(1, CACHED // (columns * c.itemsize))
    for k in range(0, max(1, b.shape[0]), most):
        terms = min(most, b.shape[0] - k)
        for r in range(0, rows, ROWS):
            for o in range(0, columns, own_columns):
                if r + ROWS <= rows:
                    _some_rows(a, b, start, c, r, o, k, terms)
                    continue
                for q in range(r, rows):
                    _one_row(a, b, start, c, q, o, k, terms)
