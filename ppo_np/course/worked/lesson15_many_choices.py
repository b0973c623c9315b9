"""Lesson 15: several independent choices at once: bits, and categorical choices.

B rows, A bits, S choices of sizes K_1 ... K_S with K = K_1 + ... + K_S logits.
"""

import numpy as np
from lesson06_categorical import categorical_backward, categorical_forward


def bernoulli_forward(logits, actions):
    """Log-probability of the given bits, and the entropy of each row.

    log pi_b = sum_a (x_ba l_ba - softplus(l_ba)),   softplus(l) = log(1 + e^l)
    H_b      = sum_a (softplus(l_ba) - q_ba l_ba),   q = 1 / (1 + e^-l)

    Args:
        logits: l, (B, A).
        actions: x, (B, A), zeros and ones.

    Returns:
        logprobs (B,): log pi; entropies (B,): H, in nats.
    """
    softplus = np.log(1 + np.exp(logits))
    q = 1 / (1 + np.exp(-logits))
    logprobs = (actions * logits - softplus).sum(axis=1)
    entropies = (softplus - q * logits).sum(axis=1)
    return logprobs, entropies


def bernoulli_backward(dlogprobs, dentropies, logits, actions):
    """Gradient of the loss with respect to the logits of the bits.

    Args:
        dlogprobs: upstream gradient of log pi, (B,).
        dentropies: upstream gradient of H, (B,).
        logits, actions: as in the forward pass.

    Returns:
        dlogits (B, A).
    """
    q = 1 / (1 + np.exp(-logits))
    dlogits = dlogprobs[:, None] * (actions - q)
    dlogits -= dentropies[:, None] * logits * q * (1 - q)
    return dlogits


def multi_categorical_forward(logits, actions, sizes):
    """Log-probability and entropy of S independent choices: the sums over the choices.

    log pi_b = sum_s log pi_bs,   H_b = sum_s H_bs

    The logits of choice s stand in K_s columns; those of the first choice come first.

    Args:
        logits: l, (B, K).
        actions: a, (B, S), integers; a_bs in [0, K_s).
        sizes: (K_1, ..., K_S).

    Returns:
        logprobs (B,): log pi; entropies (B,): H, in nats.
    """
    logprobs, entropies = 0, 0
    start = 0
    for s, size in enumerate(sizes):
        _, part_logprobs, part_entropies = categorical_forward(logits[:, start : start + size], actions[:, s])
        logprobs = logprobs + part_logprobs
        entropies = entropies + part_entropies
        start += size
    return logprobs, entropies


def multi_categorical_backward(dlogprobs, dentropies, logits, actions, sizes):
    """Gradient of the loss with respect to the logits of all choices.

    Args:
        dlogprobs: upstream gradient of log pi, (B,).
        dentropies: upstream gradient of H, (B,).
        logits, actions, sizes: as in the forward pass.

    Returns:
        dlogits (B, K).
    """
    dlogits = np.zeros(logits.shape)
    start = 0
    for s, size in enumerate(sizes):
        columns = slice(start, start + size)
        log_probs, _, entropies = categorical_forward(logits[:, columns], actions[:, s])
        dlogits[:, columns] = categorical_backward(dlogprobs, dentropies, actions[:, s], log_probs, entropies)
        start += size
    return dlogits
