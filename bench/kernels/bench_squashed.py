"""Squashed Gaussian over BipedalWalker's 4 components against vectorised NumPy: an inference step, a minibatch."""

from bench.kernels.cases import benchmark_of, every_shape
from kernels.squashed import squashed_backward, squashed_forward, squashed_sample

ROWS = every_shape(of=lambda rows, width: (rows, 4))

test_squashed_sample = benchmark_of(
    squashed_sample, ROWS, lambda draw, b, a: (draw(b, a), draw(b, a), draw(a), draw(b, a), draw(b, 2 * a), draw(b))
)
test_squashed_forward = benchmark_of(
    squashed_forward, ROWS, lambda draw, b, a: (draw(b, a), draw(b, a), draw(b, 2 * a), draw(a), draw(b), draw(b))
)
test_squashed_backward = benchmark_of(
    squashed_backward, ROWS,
    lambda draw, b, a: (draw(b), draw(b), draw(b, a), draw(b, a), draw(b, 2 * a), draw(b, a), draw(b, a)),
)  # fmt: skip
