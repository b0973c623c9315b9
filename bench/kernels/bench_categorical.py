"""Categorical distribution over LunarLander's 4 actions against vectorised NumPy: an inference step, a minibatch."""

import numpy as np

from bench.kernels.cases import benchmark_of, every_shape
from bench.reference.categorical import numpy_categorical_forward
from kernels.categorical import (
    categorical_backward,
    categorical_forward,
    categorical_mode,
    categorical_sample,
    log_softmax,
)

ROWS = every_shape(of=lambda rows, width: (rows, 4))


def sampling(draw, b, k):
    return draw(b, k), draw.rng.random(b), draw(b, k), np.zeros(b, np.int64), draw(b)


def forward(draw, b, k):
    return draw(b, k), draw.rng.integers(k, size=b), draw(b, k), draw(b), draw(b)


def backward(draw, b, k):
    _, actions, log_probs, _, entropies = saved = forward(draw, b, k)
    numpy_categorical_forward(*saved)
    return draw(b), draw(b), actions, log_probs, entropies, draw(b, k)


test_log_softmax = benchmark_of(log_softmax, ROWS, lambda draw, b, k: (draw(b, k), draw(b, k)))
test_categorical_sample = benchmark_of(categorical_sample, ROWS, sampling)
test_categorical_mode = benchmark_of(categorical_mode, ROWS, lambda draw, b, k: (draw(b, k), np.zeros(b, np.int64)))
test_categorical_forward = benchmark_of(categorical_forward, ROWS, forward)
test_categorical_backward = benchmark_of(categorical_backward, ROWS, backward)
