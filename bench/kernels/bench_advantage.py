"""Advantages against NumPy: one backward loop over time, vectorised over environments; and their normalisation."""

from bench.kernels.cases import Case, benchmark_of, every_shape, shapes
from bench.reference.advantage import numpy_gae, numpy_normalize
from kernels import gae, normalize


def estimate(draw, t, n):
    arrays = draw(t, n), draw(t + 1, n), draw(t, n), *draw.flags(0.02, 2, t, n)
    return Case(gae, numpy_gae, (*arrays, 0.99, 0.95, draw(t, n), draw(t, n)))


def normal(draw, b):
    return Case(normalize, numpy_normalize, (draw(b), draw(b)))


test_gae = benchmark_of(estimate, shapes("128x4", "128x64"))
test_normalize = benchmark_of(normal, every_shape(of=lambda rows, width: (rows,)))
