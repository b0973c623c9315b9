"""The categorical distribution over valid actions in vectorised NumPy."""

import numpy as np

from bench.reference.categorical import numpy_log_softmax


def numpy_masked_log_softmax(logits, mask, log_probs):
    """Replace invalid logits by -inf, whose exponential is exactly 0."""
    numpy_log_softmax(np.where(mask, logits, -np.inf), log_probs)


def numpy_masked_categorical_sample(logits, mask, uniforms, log_probs, actions, logprobs):
    """Count the cumulative probabilities that the uniform number has passed, up to the last valid action."""
    numpy_masked_log_softmax(logits, mask, log_probs)
    cumulative = np.exp(log_probs).cumsum(axis=1)
    last = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
    np.minimum(np.sum(cumulative <= uniforms[:, np.newaxis], axis=1), last, out=actions)
    logprobs[:] = log_probs[np.arange(len(actions)), actions]


def numpy_masked_categorical_mode(logits, mask, actions):
    """One argmax of the logits, with -inf for invalid ones."""
    np.argmax(np.where(mask, logits, -np.inf), axis=1, out=actions)


def numpy_masked_categorical_forward(logits, mask, actions, log_probs, logprobs, entropies):
    """Sum the entropy over the valid actions only: 0 times -inf would be NaN."""
    numpy_masked_log_softmax(logits, mask, log_probs)
    logprobs[:] = log_probs[np.arange(len(actions)), actions]
    np.sum(np.exp(log_probs) * -np.where(mask, log_probs, 0), axis=1, out=entropies)


def numpy_masked_categorical_backward(dlogprobs, dentropies, mask, actions, log_probs, entropies, dlogits):
    """Write the terms of all actions at once, with 0 for the logarithms of zero, then add the one of the action."""
    known = np.where(mask, log_probs, 0)
    columns = dlogprobs[:, np.newaxis] + dentropies[:, np.newaxis] * (known + entropies[:, np.newaxis])
    np.multiply(-np.exp(log_probs), columns, out=dlogits)
    dlogits[np.arange(len(actions)), actions] += dlogprobs
