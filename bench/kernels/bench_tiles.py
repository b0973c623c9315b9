"""Products tile by tile against BLAS: those of a narrow layer, forward and, with the transpose, for its weights."""

from bench.kernels.cases import benchmark_of, shapes
from kernels.tiles import product


def arguments(draw, rows, terms, columns, which):
    """a, b, start and c."""
    a = draw(terms, rows).T if which == "transpose" else draw(rows, terms)
    return a, draw(terms, columns), draw(columns), draw(rows, columns)


SHAPES = shapes("4x64x64", "64x64x64", "256x64x64", "256x3x64", "256x32x32")
test_product = benchmark_of(product, SHAPES, arguments, "plain", "transpose")
