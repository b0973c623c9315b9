import numpy as np
from lesson05_log_softmax import log_softmax


def categorical_sample(logits, uniforms):
    log_probs = log_softmax(logits)
    actions, logprobs = np.zeros(len(logits), int), np.zeros(len(logits))
    for b in range(len(logits)):
        total = 0.0
        for k in range(logits.shape[1]):
            total += np.exp(log_probs[b, k])
            actions[b] = k
            if total > uniforms[b]:
                break
        logprobs[b] = log_probs[b, actions[b]]
    return actions, logprobs


PLANT = {
    "edge-counted-as-inside": ("total > uniforms[b]", "total >= uniforms[b]"),
    "not-normalised": ("log_probs = log_softmax(logits)", "log_probs = logits"),
    "first-probability-above-u": ("total += np.exp", "total = np.exp"),
    "most-probable": ("logprobs[b] = log_probs", "actions[b] = logits[b].argmax()\n        logprobs[b] = log_probs"),
    "one-uniform-for-all": ("total > uniforms[b]", "total > uniforms[0]"),
    "probability-for-log": ("logprobs[b] = log_probs[b, actions[b]]", "logprobs[b] = np.exp(log_probs[b, actions[b]])"),
    "no-exp": ("total += np.exp(log_probs[b, k])", "total += log_probs[b, k]"),
}
