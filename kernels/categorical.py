"""Categorical distribution over K actions, given by logits. All formulas use log-softmax.

Log-softmax never takes the logarithm of a probability that was rounded to zero, so no epsilon is needed.
"""

import math

from kernels._jit import kernel


@kernel
def log_softmax(logits, log_probs):
    """Normalised log-probabilities. The maximum of each row is subtracted first, so that nothing overflows.

    log p_bk = (l_bk - lmax_b) - log sum_j exp(l_bj - lmax_b),   lmax_b = max_j l_bj

    Derivation: docs/gradients.md, "Categorical distribution".

    Args:
        logits: l, (B, K).
        log_probs: output, (B, K), overwritten; can be the same array as logits.
    """
    for b in range(logits.shape[0]):
        largest = logits[b, 0]
        for k in range(1, logits.shape[1]):
            largest = max(largest, logits[b, k])
        total = logits.dtype.type(0)
        for k in range(logits.shape[1]):
            log_probs[b, k] = logits[b, k] - largest
            total += math.exp(log_probs[b, k])
        log_total = math.log(total)
        for k in range(logits.shape[1]):
            log_probs[b, k] -= log_total


@kernel
def categorical_sample(logits, uniforms, log_probs, actions, logprobs):
    """Sample one action per row by inverting the cumulative distribution.

    a_b = the smallest k with sum_{j<=k} p_bj > u_b

    If rounding leaves the sum of all p below u, the last k with p > 0 is taken.

    Derivation: docs/gradients.md, "Categorical distribution".

    Args:
        logits: (B, K).
        uniforms: u, (B,), in [0, 1).
        log_probs: output, log p, (B, K), overwritten.
        actions: output, (B,), integers in [0, K), overwritten.
        logprobs: output, log p_b(a_b), (B,), overwritten.
    """
    log_softmax(logits, log_probs)
    for b in range(logits.shape[0]):
        action = 0
        cumulative = 0.0
        for k in range(logits.shape[1]):
            p = math.exp(log_probs[b, k])
            cumulative += p
            if p > 0:
                action = k
            if cumulative > uniforms[b]:
                break
        actions[b] = action
        logprobs[b] = log_probs[b, action]


@kernel
def categorical_mode(logits, actions):
    """The most probable action of each row; the first one if several are equally probable.

    a_b = argmax_k l_bk

    Derivation: docs/gradients.md, "Categorical distribution".

    Args:
        logits: l, (B, K).
        actions: output, (B,), integers in [0, K), overwritten.
    """
    for b in range(logits.shape[0]):
        best = 0
        for k in range(1, logits.shape[1]):
            if logits[b, k] > logits[b, best]:
                best = k
        actions[b] = best


@kernel
def categorical_forward(logits, actions, log_probs, logprobs, entropies):
    """Log-probability of the given actions, and the entropy of each row.

    log pi_b = log p_b(a_b),   H_b = - sum_k p_bk log p_bk

    Derivation: docs/gradients.md, "Categorical distribution".

    Args:
        logits: (B, K).
        actions: a, (B,), integers in [0, K).
        log_probs: output, log p, (B, K), overwritten; kept for the backward pass.
        logprobs: output, log pi, (B,), overwritten.
        entropies: output, H, (B,), in nats, in [0, log K], overwritten.
    """
    log_softmax(logits, log_probs)
    for b in range(logits.shape[0]):
        logprobs[b] = log_probs[b, actions[b]]
        entropy = logits.dtype.type(0)
        for k in range(logits.shape[1]):
            entropy -= math.exp(log_probs[b, k]) * log_probs[b, k]
        entropies[b] = entropy


@kernel
def categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies, dlogits):
    """Gradient with respect to the logits: the sum of the parts through the log-probability and through the entropy.

    dl_bk = dlogpi_b (1[k = a_b] - p_bk) - dH_b p_bk (log p_bk + H_b)

    Each row sums to zero, because adding a constant to all logits changes nothing.

    Derivation: docs/gradients.md, "Categorical distribution".

    Args:
        dlogprobs: gradient of the loss with respect to log pi, (B,).
        dentropies: gradient of the loss with respect to H, (B,).
        actions: a, (B,), as in the forward pass.
        log_probs: log p, (B, K), from the forward pass.
        entropies: H, (B,), from the forward pass.
        dlogits: output, (B, K), overwritten.
    """
    for b in range(log_probs.shape[0]):
        for k in range(log_probs.shape[1]):
            p = math.exp(log_probs[b, k])
            dlogits[b, k] = -dlogprobs[b] * p - dentropies[b] * p * (log_probs[b, k] + entropies[b])
        dlogits[b, actions[b]] += dlogprobs[b]
