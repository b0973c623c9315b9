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
from kernels.categorical import (
    categorical_backward,
    categorical_forward,
    categorical_mode,
    categorical_sample,
    log_softmax,
)

ROWS = every_shape(of=lambda rows, width: (rows, 4))


@benchmark_of(ROWS)
def test_log_softmax(draw, b, k):
    return Case(log_softmax, numpy_log_softmax, (draw(b, k), draw(b, k)))


@benchmark_of(ROWS)
def test_categorical_sample(draw, b, k):
    arrays = draw(b, k), draw.rng.random(b), draw(b, k), np.zeros(b, np.int64), draw(b)
    return Case(categorical_sample, numpy_categorical_sample, arrays)


@benchmark_of(ROWS)
def test_categorical_mode(draw, b, k):
    return Case(categorical_mode, numpy_categorical_mode, (draw(b, k), np.zeros(b, np.int64)))


@benchmark_of(ROWS)
def test_categorical_forward(draw, b, k):
    arrays = draw(b, k), draw.rng.integers(k, size=b), draw(b, k), draw(b), draw(b)
    return Case(categorical_forward, numpy_categorical_forward, arrays)


@benchmark_of(ROWS)
def test_categorical_backward(draw, b, k):
    _, actions, log_probs, _, entropies = saved = test_categorical_forward.case(draw, b, k).arguments
    numpy_categorical_forward(*saved)
    arrays = draw(b), draw(b), actions, log_probs, entropies, draw(b, k)
    return Case(categorical_backward, numpy_categorical_backward, arrays)
