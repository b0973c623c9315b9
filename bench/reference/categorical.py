"""The categorical distribution in vectorised NumPy."""

import numpy as np


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
