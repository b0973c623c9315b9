"""Bernoulli distribution of A independent bits, given by logits.

All formulas use softplus(x) = log(1 + e^x) in a form that cannot overflow.
"""

import math

import numpy as np

from kernels._jit import kernel


@kernel
def _softplus(x):
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@kernel
def _sigmoid(x):
    """1 / (1 + e^-x) = e^-softplus(-x)."""
    return math.exp(-_softplus(-x))


@kernel
def bernoulli_sample(logits, uniforms, actions, logprobs):
    """Sample the bits of each row by comparing uniform numbers with the probabilities of a one.

    x_ba = 1 if u_ba < q_ba else 0,   q = 1 / (1 + e^-l)

    Derivation: docs/gradients.md, "Bernoulli".

    Args:
        logits: l, (B, A).
        uniforms: u, (B, A), in [0, 1).
        actions: output, x, (B, A), zeros and ones, overwritten.
        logprobs: output, log pi, (B,), overwritten.
    """
    for b in range(logits.shape[0]):
        logprob = 0.0
        for a in range(logits.shape[1]):
            logit = np.float64(logits[b, a])
            actions[b, a] = 1 if uniforms[b, a] < _sigmoid(logit) else 0
            logprob += actions[b, a] * logit - _softplus(logit)
        logprobs[b] = logprob


@kernel
def bernoulli_mode(logits, actions):
    """The more probable value of each bit; 0 if both are equally probable.

    x_ba = 1 if l_ba > 0 else 0

    Derivation: docs/gradients.md, "Bernoulli".

    Args:
        logits: l, (B, A).
        actions: output, x, (B, A), zeros and ones, overwritten.
    """
    for b in range(logits.shape[0]):
        for a in range(logits.shape[1]):
            actions[b, a] = 1 if logits[b, a] > 0 else 0


@kernel
def bernoulli_forward(logits, actions, logprobs, entropies):
    """Log-probability of the given bits, and the entropy of each row.

    log pi_b = sum_a (x_ba l_ba - softplus(l_ba)),   H_b = sum_a (softplus(l_ba) - q_ba l_ba)

    Derivation: docs/gradients.md, "Bernoulli".

    Args:
        logits: l, (B, A).
        actions: x, (B, A), zeros and ones.
        logprobs: output, log pi, (B,), overwritten.
        entropies: output, H, (B,), in nats, in [0, A log 2], overwritten.
    """
    for b in range(logits.shape[0]):
        logprob = entropy = 0.0
        for a in range(logits.shape[1]):
            logit = np.float64(logits[b, a])
            logprob += actions[b, a] * logit - _softplus(logit)
            entropy += _softplus(logit) - _sigmoid(logit) * logit
        logprobs[b] = logprob
        entropies[b] = entropy


@kernel
def bernoulli_backward(dlogprobs, dentropies, logits, actions, dlogits):
    """Gradient with respect to the logits: the sum of the parts through the log-probability and through the entropy.

    dl_ba = dlogpi_b (x_ba - q_ba) - dH_b l_ba q_ba (1 - q_ba)

    Derivation: docs/gradients.md, "Bernoulli".

    Args:
        dlogprobs: gradient of the loss with respect to log pi, (B,).
        dentropies: gradient of the loss with respect to H, (B,).
        logits, actions: as in the forward pass.
        dlogits: output, (B, A), overwritten.
    """
    for b in range(logits.shape[0]):
        for a in range(logits.shape[1]):
            logit = np.float64(logits[b, a])
            q = _sigmoid(logit)
            dlogits[b, a] = dlogprobs[b] * (actions[b, a] - q) - dentropies[b] * logit * q * (1.0 - q)
