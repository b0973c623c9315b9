"""Categorical distribution over LunarLander's 4 actions against vectorised NumPy: an inference step, a minibatch."""

import numpy as np
from shapes import every_shape

from kernels import categorical_backward, categorical_forward, categorical_mode, categorical_sample, log_softmax

every_rows = every_shape(of=lambda rows, width: (rows, 4))


def numpy_log_softmax(logits, log_probs):
    """Shift by the row's maximum, then subtract the logarithm of the row's sum, in place."""
    np.subtract(logits, logits.max(axis=1, keepdims=True), out=log_probs)
    log_probs -= np.log(np.exp(log_probs).sum(axis=1, keepdims=True))


def numpy_categorical_sample(logits, uniforms, log_probs, actions, logprobs):
    """Count the cumulative probabilities that the uniform number has passed, the last one left out."""
    numpy_log_softmax(logits, log_probs)
    cumulative = np.exp(log_probs).cumsum(axis=1)[:, :-1]
    np.sum(cumulative <= uniforms[:, np.newaxis], axis=1, out=actions)
    logprobs[:] = log_probs[np.arange(len(actions)), actions]


def numpy_categorical_mode(logits, actions):
    """One argmax into the output."""
    np.argmax(logits, axis=1, out=actions)


def numpy_categorical_forward(logits, actions, log_probs, logprobs, entropies):
    """Pick the actions' log-probabilities by index arrays and sum the entropy by rows."""
    numpy_log_softmax(logits, log_probs)
    logprobs[:] = log_probs[np.arange(len(actions)), actions]
    np.sum(np.exp(log_probs) * -log_probs, axis=1, out=entropies)


def numpy_categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies, dlogits):
    """Write the terms of all actions at once, then add the one of the action taken."""
    columns = dlogprobs[:, np.newaxis] + dentropies[:, np.newaxis] * (log_probs + entropies[:, np.newaxis])
    np.multiply(-np.exp(log_probs), columns, out=dlogits)
    dlogits[np.arange(len(actions)), actions] += dlogprobs


@every_rows
def test_log_softmax(kernel_or_numpy, normal, sizes):
    kernel_or_numpy(log_softmax, numpy_log_softmax, normal(*sizes), normal(*sizes))


@every_rows
def test_categorical_sample(kernel_or_numpy, rng, normal, sizes):
    logits, log_probs, logprobs = normal(*sizes), normal(*sizes), normal(sizes[0])
    uniforms, actions = rng.random(sizes[0]), np.zeros(sizes[0], np.int64)
    kernel_or_numpy(
        categorical_sample, numpy_categorical_sample, logits, uniforms, log_probs, actions, logprobs
    )  # fmt: skip


@every_rows
def test_categorical_mode(kernel_or_numpy, normal, sizes):
    kernel_or_numpy(categorical_mode, numpy_categorical_mode, normal(*sizes), np.zeros(sizes[0], np.int64))


@every_rows
def test_categorical_forward(kernel_or_numpy, rng, normal, sizes):
    rows, choices = sizes
    logits, actions, log_probs = normal(rows, choices), rng.integers(choices, size=rows), normal(rows, choices)
    logprobs, entropies = normal(rows), normal(rows)
    kernel_or_numpy(
        categorical_forward, numpy_categorical_forward, logits, actions, log_probs, logprobs, entropies
    )  # fmt: skip


@every_rows
def test_categorical_backward(kernel_or_numpy, rng, normal, sizes):
    rows, choices = sizes
    actions, log_probs, logprobs, entropies = (
        rng.integers(choices, size=rows), normal(rows, choices), normal(rows), normal(rows),
    )  # fmt: skip
    numpy_categorical_forward(normal(rows, choices), actions, log_probs, logprobs, entropies)
    kernel_or_numpy(
        categorical_backward, numpy_categorical_backward,
        normal(rows), normal(rows), actions, log_probs, entropies, normal(rows, choices),
    )  # fmt: skip
