import numpy as np
from lesson05_log_softmax import log_softmax


def categorical_forward(logits, actions):
    log_probs = log_softmax(logits)
    probs = np.exp(log_probs)
    expected_logits = (probs * logits).sum(axis=1)
    logprobs = np.take_along_axis(log_probs, actions[:, np.newaxis], axis=1)[:, 0]
    return log_probs, logprobs, logits[:, 0] - log_probs[:, 0] - expected_logits


def categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies):
    probs = np.exp(log_probs)
    surprise = -log_probs - entropies[:, np.newaxis]
    one_hot = actions[:, np.newaxis] == np.arange(probs.shape[1])
    through_logprob = np.where(one_hot, 1 - probs, -probs)
    return (through_logprob.T * dlogprobs + (probs * surprise).T * dentropies).T


PLANT = {
    "entropy-sign-forward": (
        "logits[:, 0] - log_probs[:, 0] - expected_logits", "expected_logits - logits[:, 0] + log_probs[:, 0]",
    ),
    "probability-for-log": ("log_probs, logprobs, ", "log_probs, np.exp(logprobs), "),
    "no-softmax-term": ("np.where(one_hot, 1 - probs, -probs)", "np.where(one_hot, 1.0, 0.0)"),
    "no-one-hot-term": ("np.where(one_hot, 1 - probs, -probs)", "-probs"),
    "entropy-without-h": ("surprise = -log_probs - entropies[:, np.newaxis]", "surprise = -log_probs"),
    "entropy-sign": ("+ (probs * surprise)", "- (probs * surprise)"),
}  # fmt: skip
