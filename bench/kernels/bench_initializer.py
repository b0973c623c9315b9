"""Orthogonal initialisation against `np.linalg.qr`; the factorisation dominates both."""

from bench.kernels.cases import Case, benchmark_of, shapes
from bench.reference.initializer import numpy_orthogonal
from kernels.initializer import orthogonal


@benchmark_of(shapes("8x64", "64x64", "1024x1024"))
def test_orthogonal(draw, i, o):
    rows, columns = max(i, o), min(i, o)
    # Householder's factorisation, and as much again for Q.
    flop = 4 * rows * columns**2 - 4 * columns**3 / 3
    arguments = draw.rng.standard_normal((rows, columns)), 2**0.5, draw(i, o)
    return Case(orthogonal, numpy_orthogonal, arguments, flop=flop)
