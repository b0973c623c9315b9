"""Beta distribution of 4 components against vectorised NumPy: an inference step, a minibatch."""

from bench.kernels.cases import benchmark_of, every_shape
from kernels.beta import ATTEMPTS, beta_backward, beta_forward, beta_mode, beta_sample

ROWS = every_shape(of=lambda rows, width: (rows, 4))


def sampling(draw, b, a):
    numbers = (b, a, 2, ATTEMPTS)
    return draw(b, 2 * a), draw(a), draw(*numbers), draw.rng.random(numbers), draw(b, a), draw(b)


def given(draw, b, a):
    """Outputs, and actions in (0, 1)."""
    return draw(b, 2 * a), draw.rng.uniform(0.05, 0.95, (b, a)).astype("float32")


test_beta_sample = benchmark_of(beta_sample, ROWS, sampling)
test_beta_mode = benchmark_of(beta_mode, ROWS, given)
test_beta_forward = benchmark_of(
    beta_forward, ROWS, lambda draw, b, a: (*given(draw, b, a), draw(a), draw(b), draw(b))
)  # fmt: skip
test_beta_backward = benchmark_of(
    beta_backward, ROWS, lambda draw, b, a: (draw(b), draw(b), *given(draw, b, a), draw(b, 2 * a))
)
