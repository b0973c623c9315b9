"""log Gamma and its derivatives of one number, against the same series in NumPy."""

from bench.kernels.cases import benchmark_of
from kernels.special import digamma, log_gamma, trigamma

NUMBERS = {"2": (2,), "50": (50,)}

test_log_gamma = benchmark_of(log_gamma, NUMBERS, lambda draw, x: (x + 0.25,))
test_digamma = benchmark_of(digamma, NUMBERS, lambda draw, x: (x + 0.25,))
test_trigamma = benchmark_of(trigamma, NUMBERS, lambda draw, x: (x + 0.25,))
