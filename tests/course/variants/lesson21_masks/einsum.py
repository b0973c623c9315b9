import numpy as np


def masked_softmax(logits, mask):
    valid = np.where(mask, logits, 0)
    largest = np.where(mask, logits, -np.inf).max(axis=1)[:, np.newaxis]
    weights = mask * np.exp(np.where(mask, valid - largest, 0))
    return weights / np.einsum("bk->b", weights)[:, np.newaxis]


def logarithm(probs, mask):
    return np.log(np.where(mask, probs, 1))


def masked_categorical_forward(logits, mask, actions):
    probs = masked_softmax(logits, mask)
    log_probs = logarithm(probs, mask)
    one_hot = np.eye(logits.shape[1])[actions]
    entropies = -np.einsum("bk,bk->b", probs, log_probs)
    return np.where(mask, log_probs, -np.inf), np.einsum("bk,bk->b", one_hot, log_probs), entropies


def masked_categorical_backward(dlogprobs, dentropies, mask, actions, log_probs, entropies):
    probs = np.where(mask, np.exp(log_probs), 0)
    kinds = mask.shape[1]
    jacobian = np.eye(kinds) - probs[:, np.newaxis, :]  # d log p_j / d l_k
    dlog_probs = np.einsum("b,bj->bj", dlogprobs, np.eye(kinds)[actions])
    dlog_probs -= np.einsum("b,bj,bj->bj", dentropies, probs, logarithm(probs, mask) + 1)
    return np.einsum("bj,bjk->bk", dlog_probs, jacobian)


def masked_categorical_sample(logits, mask, uniforms):
    probs = masked_softmax(logits, mask)
    cumulative = np.add.accumulate(probs, axis=1)
    cumulative[np.cumsum(mask[:, ::-1], axis=1)[:, ::-1] <= 1] = 1.0  # from the last valid action on
    actions = np.argmax(mask & (cumulative > uniforms[:, np.newaxis]), axis=1)
    return actions, np.log(np.take_along_axis(probs, actions[:, np.newaxis], axis=1)[:, 0])


PLANT = {
    "entropy-sign-forward": ("-np.einsum", "np.einsum"),
    "entropy-of-valid-terms": (
        'entropies = -np.einsum("bk,bk->b", probs, log_probs)',
        "every = masked_softmax(logits, mask | True)\n"
        '    entropies = -np.einsum("bk,bk->b", every * mask, logarithm(every, every > 0))',
    ),
    "probability-for-log": ('np.einsum("bk,bk->b", one_hot, log_probs)', 'np.einsum("bk,bk->b", one_hot, probs)'),
    "logit-zero": ("weights = mask * np.exp(np.where(mask, valid - largest, 0))", "weights = np.exp(mask * logits)"),
    "invalid-logit-gets-a-gradient": (
        "return np.einsum(\"bj,bjk->bk\", dlog_probs, jacobian)",
        "extra = dlogprobs + dentropies * entropies\n"
        '    return np.einsum("bj,bjk->bk", dlog_probs, jacobian) - extra[:, np.newaxis] * ~mask',
    ),
    "entropy-sign": ("dlog_probs -= ", "dlog_probs += "),
    "row-mean": ("jacobian)", "jacobian / len(probs))"),
    "probability-for-log-sample": ("return actions, np.log(", "return actions, ("),
}  # fmt: skip
