"""Diagonal Gaussian over BipedalWalker's 4 components against vectorised NumPy: an inference step, a minibatch."""

from bench.kernels.cases import Case, benchmark_of, every_shape
from bench.reference.gaussian import numpy_gaussian_backward, numpy_gaussian_forward, numpy_gaussian_sample
from kernels.gaussian import gaussian_backward, gaussian_forward, gaussian_sample

ROWS = every_shape(of=lambda rows, width: (rows, 4))


@benchmark_of(ROWS)
def test_gaussian_sample(draw, b, a):
    return Case(gaussian_sample, numpy_gaussian_sample, (draw(b, a), draw(a), draw(b, a), draw(b, a), draw(b)))


@benchmark_of(ROWS)
def test_gaussian_forward(draw, b, a):
    return Case(gaussian_forward, numpy_gaussian_forward, (draw(b, a), draw(a), draw(b, a), draw(b), draw(b)))


@benchmark_of(ROWS)
def test_gaussian_backward(draw, b, a):
    arrays = draw(b), draw(b), draw(b, a), draw(a), draw(b, a), draw(b, a), draw(a)
    return Case(gaussian_backward, numpy_gaussian_backward, arrays)
