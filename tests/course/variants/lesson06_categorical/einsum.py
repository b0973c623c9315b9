import numpy as np


def categorical_forward(logits, actions):
    weights = np.exp(logits)
    probs = weights / np.einsum("bk->b", weights)[:, np.newaxis]
    log_probs = np.log(probs)
    one_hot = np.eye(logits.shape[1])[actions]
    return log_probs, np.einsum("bk,bk->b", one_hot, log_probs), -np.einsum("bk,bk->b", probs, log_probs)


def categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies):
    probs = np.exp(log_probs)
    kinds = probs.shape[1]
    jacobian = np.eye(kinds) - probs[:, np.newaxis, :]  # d log p_j / d l_k
    dlog_probs = np.einsum("b,bj->bj", dlogprobs, np.eye(kinds)[actions])
    dlog_probs -= np.einsum("b,bj,bj->bj", dentropies, probs, log_probs + 1)
    return np.einsum("bj,bjk->bk", dlog_probs, jacobian)


PLANT = {
    "entropy-sign-forward": ("-np.einsum", "np.einsum"),
    "entropy-in-bits": ("-np.einsum", "-1 / np.log(2) * np.einsum"),
    "probability-for-log": ('np.einsum("bk,bk->b", one_hot, log_probs)', 'np.einsum("bk,bk->b", one_hot, probs)'),
    "entropy-sign": ("dlog_probs -= ", "dlog_probs += "),
    "row-mean": ("jacobian)", "jacobian / len(probs))"),
}
