"""Advantages against NumPy: one backward loop over time, vectorised over environments; and their normalisation."""

from bench.kernels.cases import benchmark_of, every_shape, shapes
from kernels.advantage import gae, normalize


def rollout(draw, t, n):
    arrays = draw(t, n), draw(t + 1, n), draw(t, n), *draw.flags(0.02, 2, t, n)
    return *arrays, 0.99, 0.95, draw(t, n), draw(t, n)


test_gae = benchmark_of(gae, shapes("128x4", "128x64"), rollout)
test_normalize = benchmark_of(
    normalize, every_shape(of=lambda rows, width: (rows,)), lambda draw, b: (draw(b), draw(b))
)
