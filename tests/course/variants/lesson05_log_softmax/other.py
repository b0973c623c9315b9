import numpy as np


def log_softmax(logits):
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


PLANT = {
    "no-maximum": ("np.logaddexp.reduce(logits, axis=1, keepdims=True)", "np.log(np.exp(logits).sum(1)[:, None])"),
    "no-log": (
        "logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)",
        "np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))",
    ),
    "mean-for-sum": (
        "np.logaddexp.reduce(logits, axis=1, keepdims=True)",
        "np.logaddexp.reduce(logits, axis=1, keepdims=True) + np.log(logits.shape[1])",
    ),
    "sum-as-row": ("axis=1, keepdims=True", "axis=1"),
}
