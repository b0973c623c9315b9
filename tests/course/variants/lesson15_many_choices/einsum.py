import numpy as np
from lesson06_categorical import categorical_backward, categorical_forward


def bernoulli_forward(logits, actions):
    two = np.stack([np.zeros(logits.shape), logits], axis=2)
    log_p = two - np.log(np.exp(two).sum(axis=2, keepdims=True))
    chosen = np.stack([1 - actions, actions], axis=2)
    return np.einsum("bac,bac->b", chosen, log_p), -np.einsum("bac,bac->b", np.exp(log_p), log_p)


def bernoulli_backward(dlogprobs, dentropies, logits, actions):
    q = 1 / (1 + np.exp(-logits))
    spread = q * (1 - q)
    return np.einsum("b,ba->ba", dlogprobs, actions - q) - np.einsum("b,ba,ba->ba", dentropies, logits, spread)


def multi_categorical_forward(logits, actions, sizes):
    parts = np.split(logits, np.cumsum(sizes)[:-1], axis=1)
    results = [categorical_forward(part, a)[1:] for part, a in zip(parts, actions.T, strict=True)]
    logprobs, entropies = (np.einsum("sb->b", np.stack(columns)) for columns in zip(*results, strict=True))
    return logprobs, entropies


def multi_categorical_backward(dlogprobs, dentropies, logits, actions, sizes):
    parts = np.split(logits, np.cumsum(sizes)[:-1], axis=1)
    columns = []
    for part, a in zip(parts, actions.T, strict=True):
        log_probs, _, entropies = categorical_forward(part, a)
        columns.append(categorical_backward(dlogprobs, dentropies, a, log_probs, entropies))
    return np.concatenate(columns, axis=1)


PLANT = {
    "bit-sign": ("dlogprobs, actions - q)", "dlogprobs, q - actions)"),
    "bit-entropy-without-1-q": ("spread = q * (1 - q)", "spread = q"),
    "mean-over-choices": ("np.concatenate(columns, axis=1)", "np.concatenate(columns, axis=1) / len(sizes)"),
    "bit-entropy-forward-sign": (", -np.einsum", ", np.einsum"),
}
