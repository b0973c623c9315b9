"""Diagonal Gaussian over BipedalWalker's 4 components against vectorised NumPy: an inference step, a minibatch."""

from bench.kernels.cases import benchmark_of, every_shape
from kernels.gaussian import (
    gaussian_backward,
    gaussian_forward,
    gaussian_sample,
    state_gaussian_backward,
    state_gaussian_forward,
    state_gaussian_sample,
)

ROWS = every_shape(of=lambda rows, width: (rows, 4))

test_gaussian_sample = benchmark_of(
    gaussian_sample, ROWS, lambda draw, b, a: (draw(b, a), draw(a), draw(b, a), draw(b, a), draw(b))
)
test_gaussian_forward = benchmark_of(
    gaussian_forward, ROWS, lambda draw, b, a: (draw(b, a), draw(a), draw(b, a), draw(b), draw(b))
)
test_gaussian_backward = benchmark_of(
    gaussian_backward, ROWS,
    lambda draw, b, a: (draw(b), draw(b), draw(b, a), draw(a), draw(b, a), draw(b, a), draw(a)),
)  # fmt: skip
test_state_gaussian_sample = benchmark_of(
    state_gaussian_sample, ROWS, lambda draw, b, a: (draw(b, a), draw(b, a), draw(b, a), draw(b, a), draw(b))
)
test_state_gaussian_forward = benchmark_of(
    state_gaussian_forward, ROWS, lambda draw, b, a: (draw(b, a), draw(b, a), draw(b, a), draw(b), draw(b))
)
test_state_gaussian_backward = benchmark_of(
    state_gaussian_backward, ROWS,
    lambda draw, b, a: (draw(b), draw(b), draw(b, a), draw(b, a), draw(b, a), draw(b, a), draw(b, a)),
)  # fmt: skip
