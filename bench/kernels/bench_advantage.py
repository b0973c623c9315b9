"""Advantages against NumPy: one backward loop over time, vectorised over environments; and their normalisation."""

from bench.kernels.cases import Case, benchmark_of, every_shape, shapes
from bench.reference.advantage import numpy_gae, numpy_normalize
from kernels.advantage import gae, normalize


@benchmark_of(shapes("128x4", "128x64"))
def test_gae(draw, t, n):
    arrays = draw(t, n), draw(t + 1, n), draw(t, n), *draw.flags(0.02, 2, t, n)
    return Case(gae, numpy_gae, (*arrays, 0.99, 0.95, draw(t, n), draw(t, n)))


@benchmark_of(every_shape(of=lambda rows, width: (rows,)))
def test_normalize(draw, b):
    return Case(normalize, numpy_normalize, (draw(b), draw(b)))
