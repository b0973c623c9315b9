"""Categorical distribution over the valid ones of Taxi's 6 actions against vectorised NumPy."""

import numpy as np

from bench.kernels.cases import benchmark_of, every_shape
from bench.reference.masked_categorical import numpy_masked_categorical_forward
from kernels.masked_categorical import (
    masked_categorical_backward,
    masked_categorical_forward,
    masked_categorical_mode,
    masked_categorical_sample,
    masked_log_softmax,
)

ROWS = every_shape(of=lambda rows, width: (rows, 6))


def masked(draw, b, k):
    """Logits, a mask that allows half of the actions, and one of the allowed actions in each row."""
    mask = draw.flags(0.5, b, k).astype(np.int8)
    actions = draw.rng.integers(k, size=b)
    mask[np.arange(b), actions] = 1
    return draw(b, k), mask, actions


def sampling(draw, b, k):
    logits, mask, actions = masked(draw, b, k)
    return logits, mask, draw.rng.random(b), draw(b, k), actions, draw(b)


def forward(draw, b, k):
    return *masked(draw, b, k), draw(b, k), draw(b), draw(b)


def backward(draw, b, k):
    _, mask, actions, log_probs, _, entropies = saved = forward(draw, b, k)
    numpy_masked_categorical_forward(*saved)
    return draw(b), draw(b), mask, actions, log_probs, entropies, draw(b, k)


test_masked_log_softmax = benchmark_of(
    masked_log_softmax, ROWS, lambda draw, b, k: (*masked(draw, b, k)[:2], draw(b, k))
)
test_masked_categorical_sample = benchmark_of(masked_categorical_sample, ROWS, sampling)
test_masked_categorical_mode = benchmark_of(masked_categorical_mode, ROWS, masked)
test_masked_categorical_forward = benchmark_of(masked_categorical_forward, ROWS, forward)
test_masked_categorical_backward = benchmark_of(masked_categorical_backward, ROWS, backward)
