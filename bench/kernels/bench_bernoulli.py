"""Eight independent bits against vectorised NumPy: an inference step, a minibatch."""

from bench.kernels.cases import benchmark_of, every_shape
from kernels.bernoulli import bernoulli_backward, bernoulli_forward, bernoulli_mode, bernoulli_sample

ROWS = every_shape(of=lambda rows, width: (rows, 8))


def bits(draw, b, n):
    return draw.rng.integers(2, size=(b, n))


test_bernoulli_sample = benchmark_of(
    bernoulli_sample, ROWS, lambda draw, b, n: (draw(b, n), draw.rng.random((b, n)), bits(draw, b, n), draw(b))
)
test_bernoulli_mode = benchmark_of(bernoulli_mode, ROWS, lambda draw, b, n: (draw(b, n), bits(draw, b, n)))
test_bernoulli_forward = benchmark_of(
    bernoulli_forward, ROWS, lambda draw, b, n: (draw(b, n), bits(draw, b, n), draw(b), draw(b))
)
test_bernoulli_backward = benchmark_of(
    bernoulli_backward, ROWS, lambda draw, b, n: (draw(b), draw(b), draw(b, n), bits(draw, b, n), draw(b, n))
)
