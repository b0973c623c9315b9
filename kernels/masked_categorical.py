"""Categorical distribution over those of K actions that a mask allows; kernels/categorical.py without a mask.

An invalid action has p = 0. Its log p would be -inf, so it is only stored and never used in a product: 0 * inf is NaN.
The mask is int8, 1 where an action is valid. Every row must have a valid action.
"""

import math

from kernels._jit import kernel


@kernel
def masked_log_softmax(logits, mask, log_probs):
    """Log-probabilities normalised over the valid actions; -inf for invalid ones, whose logits are not used.

    log p_bk = (l_bk - lmax_b) - log sum_j exp(l_bj - lmax_b),   lmax_b = max_j l_bj,   j and k over the valid actions

    Derivation: docs/gradients.md, "Categorical distribution".

    Args:
        logits: l, (B, K).
        mask: (B, K), 1 where an action is valid, else 0.
        log_probs: output, (B, K), overwritten; can be the same array as logits.
    """
    for b in range(logits.shape[0]):
        largest = logits.dtype.type(-math.inf)
        for k in range(logits.shape[1]):
            if mask[b, k]:
                largest = max(largest, logits[b, k])
        total = logits.dtype.type(0)
        for k in range(logits.shape[1]):
            if mask[b, k]:
                log_probs[b, k] = logits[b, k] - largest
                total += math.exp(log_probs[b, k])
            else:
                log_probs[b, k] = -math.inf
        log_total = math.log(total)
        for k in range(logits.shape[1]):
            log_probs[b, k] -= log_total


@kernel
def masked_categorical_sample(logits, mask, uniforms, log_probs, actions, logprobs):
    """Sample one valid action per row by inverting the cumulative distribution.

    a_b = the smallest valid k with sum_{valid j<=k} p_bj > u_b

    If rounding leaves the sum of all p below u, the last valid k with p > 0 is taken. Invalid actions are passed over,
    so none is drawn, whatever is rounded and even if logits are NaN.

    Derivation: docs/gradients.md, "Categorical distribution".

    Args:
        logits: (B, K).
        mask: (B, K), 1 where an action is valid, else 0.
        uniforms: u, (B,), in [0, 1).
        log_probs: output, log p, (B, K), overwritten.
        actions: output, (B,), integers in [0, K), overwritten.
        logprobs: output, log p_b(a_b), (B,), overwritten.
    """
    masked_log_softmax(logits, mask, log_probs)
    for b in range(logits.shape[0]):
        action = -1
        cumulative = 0.0
        for k in range(logits.shape[1]):
            if mask[b, k]:
                p = math.exp(log_probs[b, k])
                cumulative += p
                if p > 0 or action < 0:
                    action = k
                if cumulative > uniforms[b]:
                    break
        actions[b] = action
        logprobs[b] = log_probs[b, action]


@kernel
def masked_categorical_mode(logits, mask, actions):
    """The most probable valid action of each row; the first one if several are equally probable.

    a_b = argmax_k l_bk,   k over the valid actions

    Derivation: docs/gradients.md, "Categorical distribution".

    Args:
        logits: l, (B, K).
        mask: (B, K), 1 where an action is valid, else 0.
        actions: output, (B,), integers in [0, K), overwritten.
    """
    for b in range(logits.shape[0]):
        best = -1
        for k in range(logits.shape[1]):
            if mask[b, k] and (best < 0 or logits[b, k] > logits[b, best]):
                best = k
        actions[b] = best


@kernel
def masked_categorical_forward(logits, mask, actions, log_probs, logprobs, entropies):
    """Log-probability of the given valid actions, and the entropy of each row.

    log pi_b = log p_b(a_b),   H_b = - sum_k p_bk log p_bk,   k over the valid actions

    Derivation: docs/gradients.md, "Categorical distribution".

    Args:
        logits: (B, K).
        mask: (B, K), 1 where an action is valid, else 0.
        actions: a, (B,), integers in [0, K).
        log_probs: output, log p, (B, K), overwritten; kept for the backward pass.
        logprobs: output, log pi, (B,), overwritten.
        entropies: output, H, (B,), in nats, in [0, log of the number of valid actions], overwritten.
    """
    masked_log_softmax(logits, mask, log_probs)
    for b in range(logits.shape[0]):
        logprobs[b] = log_probs[b, actions[b]]
        entropy = logits.dtype.type(0)
        for k in range(logits.shape[1]):
            if mask[b, k]:
                entropy -= math.exp(log_probs[b, k]) * log_probs[b, k]
        entropies[b] = entropy


@kernel
def masked_categorical_backward(dlogprobs, dentropies, mask, actions, log_probs, entropies, dlogits):
    """Gradient with respect to the logits; 0 for invalid ones, which neither log pi nor H depends on.

    dl_bk = dlogpi_b (1[k = a_b] - p_bk) - dH_b p_bk (log p_bk + H_b) for valid k,   dl_bk = 0 for invalid k

    Derivation: docs/gradients.md, "Categorical distribution".

    Args:
        dlogprobs: gradient of the loss with respect to log pi, (B,).
        dentropies: gradient of the loss with respect to H, (B,).
        mask: (B, K), as in the forward pass.
        actions: a, (B,), as in the forward pass.
        log_probs: log p, (B, K), from the forward pass.
        entropies: H, (B,), from the forward pass.
        dlogits: output, (B, K), overwritten.
    """
    for b in range(log_probs.shape[0]):
        for k in range(log_probs.shape[1]):
            if mask[b, k]:
                p = math.exp(log_probs[b, k])
                dlogits[b, k] = -dlogprobs[b] * p - dentropies[b] * p * (log_probs[b, k] + entropies[b])
            else:
                dlogits[b, k] = 0
        dlogits[b, actions[b]] += dlogprobs[b]
