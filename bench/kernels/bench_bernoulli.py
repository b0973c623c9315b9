"""Eight independent bits against vectorised NumPy: an inference step, a minibatch."""

from bench.kernels.cases import Case, benchmark_of, every_shape
from bench.reference.bernoulli import (
    numpy_bernoulli_backward,
    numpy_bernoulli_forward,
    numpy_bernoulli_mode,
    numpy_bernoulli_sample,
)
from kernels.bernoulli import bernoulli_backward, bernoulli_forward, bernoulli_mode, bernoulli_sample

ROWS = every_shape(of=lambda rows, width: (rows, 8))


@benchmark_of(ROWS)
def test_bernoulli_sample(draw, b, n):
    arrays = draw(b, n), draw.rng.random((b, n)), draw.rng.integers(2, size=(b, n)), draw(b)
    return Case(bernoulli_sample, numpy_bernoulli_sample, arrays)


@benchmark_of(ROWS)
def test_bernoulli_mode(draw, b, n):
    return Case(bernoulli_mode, numpy_bernoulli_mode, (draw(b, n), draw.rng.integers(2, size=(b, n))))


@benchmark_of(ROWS)
def test_bernoulli_forward(draw, b, n):
    arrays = draw(b, n), draw.rng.integers(2, size=(b, n)), draw(b), draw(b)
    return Case(bernoulli_forward, numpy_bernoulli_forward, arrays)


@benchmark_of(ROWS)
def test_bernoulli_backward(draw, b, n):
    arrays = draw(b), draw(b), draw(b, n), draw.rng.integers(2, size=(b, n)), draw(b, n)
    return Case(bernoulli_backward, numpy_bernoulli_backward, arrays)
