import numpy as np
from lesson06_categorical import categorical_backward, categorical_forward


def bernoulli_forward(logits, actions):
    """By the sign of the bit: log pi = -softplus(-l) for a one, and -softplus(l) for a zero."""
    sign = 2 * actions - 1
    logprobs = -np.log1p(np.exp(-sign * logits)).sum(axis=1)
    both = np.log1p(np.exp(logits)), np.log1p(np.exp(-logits))
    q = np.exp(-both[1])
    return logprobs, ((1 - q) * both[0] + q * both[1]).sum(axis=1)


def bernoulli_backward(dlogprobs, dentropies, logits, actions):
    q = 0.5 * (1 + np.tanh(logits / 2))
    slope = -logits / (2 + 2 * np.cosh(logits))
    return (dlogprobs * (actions - q).T).T + (dentropies * slope.T).T


def multi_categorical_forward(logits, actions, sizes):
    logprobs, entropies = np.zeros(len(logits)), np.zeros(len(logits))
    offsets = np.cumsum(sizes) - sizes
    for choice, offset, size in reversed(list(zip(actions.T, offsets, sizes, strict=True))):
        _, one, two = categorical_forward(logits[:, offset : offset + size], choice)
        logprobs, entropies = logprobs + one, entropies + two
    return logprobs, entropies


def multi_categorical_backward(dlogprobs, dentropies, logits, actions, sizes):
    dlogits = np.empty(logits.shape)
    stop = logits.shape[1]
    for s in reversed(range(len(sizes))):
        part = np.arange(stop - sizes[s], stop)
        log_probs, _, entropies = categorical_forward(logits[:, part], actions[:, s])
        dlogits[:, part] = categorical_backward(dlogprobs, dentropies, actions[:, s], log_probs, entropies)
        stop -= sizes[s]
    return dlogits


PLANT = {
    "no-sigmoid-term": ("(actions - q).T", "(actions + 0 * q).T"),
    "product-for-sum": (
        "logprobs, entropies = np.zeros(len(logits)), np.zeros(len(logits))",
        "logprobs, entropies = np.ones(len(logits)), np.zeros(len(logits))",
    ),
}
