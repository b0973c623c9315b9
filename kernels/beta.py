"""Beta distribution of A independent numbers in (0, 1), which stand for numbers in a Box.

The 2A outputs of the network are o_0, o'_0, o_1, o'_1, ...: of each component one for alpha and one for beta,

    alpha = 1 + softplus(o),   beta = 1 + softplus(o').

Both are above 1, so the density has one maximum and is 0 at both ends. The action in the Box is low + (high - low) x.
Its density is that of x divided by high - low.
"""

import math

import numpy as np

from kernels._jit import kernel
from kernels.bernoulli import _sigmoid, _softplus
from kernels.special import digamma, log_gamma, trigamma

ENDS = 2.0**-24  # x lies in [ENDS, 1 - ENDS]; 1 - ENDS is the largest number of float32 below 1
ATTEMPTS = 8  # of one gamma number; all of them fail once in 10^10 times


@kernel
def _log_beta(alpha, beta):
    """log B(alpha, beta), the logarithm of the integral of x^(alpha - 1) (1 - x)^(beta - 1)."""
    return log_gamma(alpha) + log_gamma(beta) - log_gamma(alpha + beta)


@kernel
def _log_density(alpha, beta, x):
    """The log-density of one number in (0, 1)."""
    return (alpha - 1.0) * math.log(x) + (beta - 1.0) * math.log1p(-x) - _log_beta(alpha, beta)


@kernel
def _gamma(shape, normals, uniforms):
    """A gamma number of scale 1 by rejection, for a shape >= 1 (Marsaglia and Tsang 2000).

    v = (1 + xi / sqrt(9 d))^3, d = shape - 1/3: d v is taken if log(1 - u) < xi^2/2 + d (1 - v + log v).
    """
    d = shape - 1.0 / 3.0
    for k in range(len(normals)):
        xi = np.float64(normals[k])
        v = (1.0 + xi / math.sqrt(9.0 * d)) ** 3
        if v > 0.0 and math.log1p(-uniforms[k]) < 0.5 * xi * xi + d * (1.0 - v + math.log(v)):
            return d * v
    return d


@kernel
def beta_sample(outputs, log_width, normals, uniforms, actions, logprobs):
    """Sample the numbers of each row from two gamma numbers each.

    x_ba = g / (g + g'),   g from Gamma(alpha_ba), g' from Gamma(beta_ba),   log pi_b as in `beta_forward`

    A gamma number is the first one that is accepted among `ATTEMPTS` proposals, each from a normal and a uniform number
    (Marsaglia and Tsang 2000). x is kept in [2^-24, 1 - 2^-24]; log pi_b is computed from the stored, rounded x.

    Derivation: docs/gradients.md, "Beta distribution".

    Args:
        outputs: o and o', (B, 2 A).
        log_width: log(high - low), (A,).
        normals, uniforms: independent standard normal numbers, and uniform ones in [0, 1), (B, A, 2, ATTEMPTS) each.
        actions: output, x, (B, A), overwritten.
        logprobs: output, log pi, (B,), overwritten.
    """
    for b in range(actions.shape[0]):
        logprob = 0.0
        for a in range(actions.shape[1]):
            alpha = 1.0 + _softplus(np.float64(outputs[b, 2 * a]))
            beta = 1.0 + _softplus(np.float64(outputs[b, 2 * a + 1]))
            one = _gamma(alpha, normals[b, a, 0], uniforms[b, a, 0])
            other = _gamma(beta, normals[b, a, 1], uniforms[b, a, 1])
            actions[b, a] = min(max(one / (one + other), ENDS), 1.0 - ENDS)
            logprob += _log_density(alpha, beta, np.float64(actions[b, a])) - log_width[a]
        logprobs[b] = logprob


@kernel
def beta_mode(outputs, actions):
    """The most probable number of each component; 1/2 if alpha and beta are both 1 and all are equally probable.

    x_ba = (alpha_ba - 1) / (alpha_ba + beta_ba - 2)

    x is kept in [2^-24, 1 - 2^-24].

    Derivation: docs/gradients.md, "Beta distribution".

    Args:
        outputs: o and o', (B, 2 A).
        actions: output, x, (B, A), overwritten.
    """
    for b in range(actions.shape[0]):
        for a in range(actions.shape[1]):
            one = _softplus(np.float64(outputs[b, 2 * a]))
            other = _softplus(np.float64(outputs[b, 2 * a + 1]))
            x = one / (one + other) if one + other > 0.0 else 0.5
            actions[b, a] = min(max(x, ENDS), 1.0 - ENDS)


@kernel
def beta_forward(outputs, actions, log_width, logprobs, entropies):
    """Log-density in the Box of the given actions, and the entropy of each row.

    log pi_b = sum_a ((alpha_ba - 1) log x_ba + (beta_ba - 1) log(1 - x_ba) - log B_ba - log(high_a - low_a))
    H_b = sum_a (log B_ba - (alpha_ba - 1) psi(alpha_ba) - (beta_ba - 1) psi(beta_ba)
                 + (alpha_ba + beta_ba - 2) psi(alpha_ba + beta_ba) + log(high_a - low_a))
    log B = log Gamma(alpha) + log Gamma(beta) - log Gamma(alpha + beta)

    Derivation: docs/gradients.md, "Beta distribution".

    Args:
        outputs: o and o', (B, 2 A).
        actions: x, (B, A), in (0, 1).
        log_width: log(high - low), (A,).
        logprobs: output, log pi, (B,), overwritten.
        entropies: output, H, (B,), in nats, overwritten.
    """
    for b in range(actions.shape[0]):
        logprob = entropy = 0.0
        for a in range(actions.shape[1]):
            alpha = 1.0 + _softplus(np.float64(outputs[b, 2 * a]))
            beta = 1.0 + _softplus(np.float64(outputs[b, 2 * a + 1]))
            total = alpha + beta
            logprob += _log_density(alpha, beta, np.float64(actions[b, a])) - log_width[a]
            entropy += _log_beta(alpha, beta) + (total - 2.0) * digamma(total) + log_width[a]
            entropy -= (alpha - 1.0) * digamma(alpha) + (beta - 1.0) * digamma(beta)
        logprobs[b] = logprob
        entropies[b] = entropy


@kernel
def beta_backward(dlogprobs, dentropies, outputs, actions, doutputs):
    """Gradient with respect to the outputs: the sum of the parts through the log-density and through the entropy.

    dalpha_ba = dlogpi_b (log x_ba - psi(alpha_ba) + psi(alpha_ba + beta_ba))
                + dH_b ((alpha_ba + beta_ba - 2) psi'(alpha_ba + beta_ba) - (alpha_ba - 1) psi'(alpha_ba))
    do_ba = dalpha_ba / (1 + e^-o_ba)

    and the same for beta, with log(1 - x_ba) and o'_ba.

    Derivation: docs/gradients.md, "Beta distribution".

    Args:
        dlogprobs: gradient of the loss with respect to log pi, (B,).
        dentropies: gradient of the loss with respect to H, (B,).
        outputs, actions: as in the forward pass.
        doutputs: output, (B, 2 A), overwritten.
    """
    for b in range(actions.shape[0]):
        for a in range(actions.shape[1]):
            x = np.float64(actions[b, a])
            total = 2.0 + _softplus(np.float64(outputs[b, 2 * a])) + _softplus(np.float64(outputs[b, 2 * a + 1]))
            # What both parameters share: the terms of alpha + beta.
            dtotal = dlogprobs[b] * digamma(total) + dentropies[b] * (total - 2.0) * trigamma(total)
            for side in range(2):
                o = np.float64(outputs[b, 2 * a + side])
                parameter = 1.0 + _softplus(o)
                log_x = math.log(x) if side == 0 else math.log1p(-x)
                dparameter = dtotal + dlogprobs[b] * (log_x - digamma(parameter))
                dparameter -= dentropies[b] * (parameter - 1.0) * trigamma(parameter)
                # alpha = 1 + softplus(o), and the derivative of softplus is the sigmoid
                doutputs[b, 2 * a + side] = dparameter * _sigmoid(o)
