import cmath
import math

import numpy as np
from lesson05_log_softmax import log_softmax


def bernoulli_forward(logits, actions):
    kind = logits.dtype
    exp, log = (cmath.exp, cmath.log) if kind.kind == "c" else (math.exp, math.log)
    logprobs, entropies = np.zeros(len(logits), kind), np.zeros(len(logits), kind)
    for b in range(len(logits)):
        for a in range(logits.shape[1]):
            q = 1 / (1 + exp(-logits[b, a]))
            logprobs[b] += log(q) if actions[b, a] == 1 else log(1 - q)
            entropies[b] -= q * log(q) + (1 - q) * log(1 - q)
    return logprobs, entropies


def bernoulli_backward(dlogprobs, dentropies, logits, actions):
    dlogits = np.zeros(logits.shape)
    for b in range(len(logits)):
        for a in range(logits.shape[1]):
            q = 1 / (1 + math.exp(-logits[b, a]))
            dlogits[b, a] = dlogprobs[b] * (actions[b, a] - q)
            dlogits[b, a] += dentropies[b] * -logits[b, a] * q * (1 - q)
    return dlogits


def _parts(sizes):
    start = 0
    for s, size in enumerate(sizes):
        yield s, start, start + size
        start += size


def multi_categorical_forward(logits, actions, sizes):
    logprobs, entropies = np.zeros(len(logits), logits.dtype), np.zeros(len(logits), logits.dtype)
    for s, start, stop in _parts(sizes):
        log_probs = log_softmax(logits[:, start:stop])
        for b in range(len(logits)):
            logprobs[b] += log_probs[b, actions[b, s]]
            for k in range(stop - start):
                entropies[b] -= np.exp(log_probs[b, k]) * log_probs[b, k]
    return logprobs, entropies


def multi_categorical_backward(dlogprobs, dentropies, logits, actions, sizes):
    dlogits = np.zeros(logits.shape)
    for s, start, stop in _parts(sizes):
        log_probs = log_softmax(logits[:, start:stop])
        for b in range(len(logits)):
            p = np.exp(log_probs[b])
            entropy = -(p * log_probs[b]).sum()
            for k in range(stop - start):
                hit = 1 if k == actions[b, s] else 0
                dlogits[b, start + k] = dlogprobs[b] * (hit - p[k]) - dentropies[b] * p[k] * (log_probs[b, k] + entropy)
    return dlogits


PLANT = {
    "no-sigmoid-term": ("(actions[b, a] - q)", "actions[b, a]"),
    "bit-entropy-without-logit": ("dentropies[b] * -logits[b, a] * q", "dentropies[b] * -1.0 * q"),
    "bit-entropy-sign": ("dentropies[b] * -logits[b, a]", "dentropies[b] * logits[b, a]"),
    "wrong-columns": ("dlogits[b, start + k]", "dlogits[b, k]"),
    "last-logprob": ("logprobs[b] += log_probs", "logprobs[b] = log_probs"),
}
