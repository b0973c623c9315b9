import math

import numpy as np


def log_softmax(logits):
    log_probs = np.zeros(logits.shape)
    for b in range(logits.shape[0]):
        largest = max(logits[b])
        total = 0.0
        for k in range(logits.shape[1]):
            total += math.exp(logits[b, k] - largest)
        for k in range(logits.shape[1]):
            log_probs[b, k] = (logits[b, k] - largest) - math.log(total)
    return log_probs


PLANT = {
    "one-maximum-for-all": ("max(logits[b])", "logits.max()"),
    "maximum-only-in-exp": ("(logits[b, k] - largest) - math", "logits[b, k] - math"),
    "mean-for-sum": ("math.log(total)", "math.log(total / logits.shape[1])"),
    "log-base": ("math.log(total)", "math.log2(total)"),
    "sign": ("- math.log(total)", "+ math.log(total)"),
    "no-log": ("(logits[b, k] - largest) - math.log(total)", "math.exp(logits[b, k] - largest) / total"),
}
