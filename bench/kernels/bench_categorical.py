"""Categorical distribution over LunarLander's 4 actions against vectorised NumPy: an inference step, a minibatch."""

import numpy as np

from bench.kernels.cases import Case, benchmark_of, every_shape
from bench.reference.categorical import (
    numpy_categorical_backward,
    numpy_categorical_forward,
    numpy_categorical_mode,
    numpy_categorical_sample,
    numpy_log_softmax,
)
from kernels import categorical_backward, categorical_forward, categorical_mode, categorical_sample, log_softmax

ROWS = every_shape(of=lambda rows, width: (rows, 4))


def softmax(draw, b, k):
    return Case(log_softmax, numpy_log_softmax, (draw(b, k), draw(b, k)))


def sample(draw, b, k):
    arrays = draw(b, k), draw.rng.random(b), draw(b, k), np.zeros(b, np.int64), draw(b)
    return Case(categorical_sample, numpy_categorical_sample, arrays)


def mode(draw, b, k):
    return Case(categorical_mode, numpy_categorical_mode, (draw(b, k), np.zeros(b, np.int64)))


def forward(draw, b, k):
    arrays = draw(b, k), draw.rng.integers(k, size=b), draw(b, k), draw(b), draw(b)
    return Case(categorical_forward, numpy_categorical_forward, arrays)


def backward(draw, b, k):
    _, actions, log_probs, _, entropies = saved = forward(draw, b, k).arguments
    numpy_categorical_forward(*saved)
    arrays = draw(b), draw(b), actions, log_probs, entropies, draw(b, k)
    return Case(categorical_backward, numpy_categorical_backward, arrays)


test_log_softmax = benchmark_of(softmax, ROWS)
test_categorical_sample = benchmark_of(sample, ROWS)
test_categorical_mode = benchmark_of(mode, ROWS)
test_categorical_forward = benchmark_of(forward, ROWS)
test_categorical_backward = benchmark_of(backward, ROWS)
