import numpy as np
from lesson05_log_softmax import log_softmax


def policy_gradient(logits, actions, returns, baselines):
    probs = np.exp(log_softmax(logits))
    one_hot = np.eye(probs.shape[1])[actions]
    return np.einsum("b,bk->bk", baselines - returns, one_hot - probs) / len(probs)


PLANT = {
    "sign": ("baselines - returns", "returns - baselines"),
    "no-baseline": ("baselines - returns", "-returns"),
    "baseline-added": ("baselines - returns", "-baselines - returns"),
    "baseline-mean": ("baselines - returns", "baselines.mean() - returns"),
    "p-for-log-p": ("baselines - returns", "(baselines - returns) * probs[one_hot == 1]"),
}
