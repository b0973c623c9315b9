"""The PPO loss of one minibatch, and its gradient with respect to log-probabilities, entropies and values.

The loss does not depend on the kind of distribution or network. The forward pass maps (log-probability, entropy, value)
of each row to a scalar. The backward pass gives the gradient with respect to these three.
Schulman et al. 2017, "Proximal Policy Optimization Algorithms", equations 7 and 9, with the value clipping of the
original implementation:

    L = L_pi - c_H mean_b H_b + c_V L_V
    L_pi = mean_b max(-A_b rho_b, -A_b clip(rho_b, 1-epsilon, 1+epsilon)),   rho_b = exp(log pi_b - log pi_old_b)
    L_V  = 1/2 mean_b max((V_b - R_b)^2, (Vc_b - R_b)^2),   Vc_b = V_old_b + clip(V_b - V_old_b, -epsilon_V, epsilon_V)
"""

import math

import numpy as np

from kernels._jit import kernel

# The numbers that `ppo_loss_forward` writes to `loss_terms`, in this order.
LOSS_TERMS = ("loss", "policy_loss", "value_loss", "entropy", "approx_kl", "clipfrac")


@kernel
def ppo_loss_forward(
    logprobs, entropies, values, old_logprobs, old_values, advantages, returns,
    clip_coef, ent_coef, vf_coef, clip_vloss, value_clip_coef, loss_terms,
):  # fmt: skip
    """Loss of a minibatch (formulas above), its terms, and two diagnostics. All sums are in float64.

    approx_kl = mean_b ((rho_b - 1) - log rho_b)   (Schulman 2020, "Approximating KL divergence", estimator k3)
    clipfrac = share of rows with |rho_b - 1| > epsilon

    Derivation: docs/gradients.md, "The loss, and what stands at its bottom".

    Args:
        logprobs, entropies, values: log pi, H and V with the current parameters, (B,) each.
        old_logprobs, old_values: log pi_old and V_old, from the rollout, (B,) each.
        advantages, returns: A and R, (B,) each; constants of the backward pass.
        clip_coef: epsilon > 0, the clip range of the ratio.
        ent_coef, vf_coef: c_H and c_V, >= 0.
        clip_vloss: if False, L_V = 1/2 mean_b (V_b - R_b)^2.
        value_clip_coef: epsilon_V > 0, the clip range of the value.
        loss_terms: output, (6,) float64, overwritten with the numbers that `LOSS_TERMS` names.
    """
    rows = logprobs.shape[0]
    policy_loss = value_loss = entropy = approx_kl = clipfrac = 0.0
    for b in range(rows):
        log_ratio = np.float64(logprobs[b]) - np.float64(old_logprobs[b])
        ratio = np.exp(log_ratio)
        clipped_ratio = min(max(ratio, 1.0 - clip_coef), 1.0 + clip_coef)
        advantage = np.float64(advantages[b])
        policy_loss += max(-advantage * ratio, -advantage * clipped_ratio)
        error, clipped_error = _value_errors(values[b], old_values[b], returns[b], clip_vloss, value_clip_coef)
        value_loss += 0.5 * max(error * error, clipped_error * clipped_error)
        entropy += np.float64(entropies[b])
        approx_kl += ratio - 1.0 - log_ratio
        clipfrac += 1.0 if abs(ratio - 1.0) > clip_coef else 0.0
    loss_terms[1] = policy_loss / rows
    loss_terms[2] = value_loss / rows
    loss_terms[3] = entropy / rows
    loss_terms[4] = approx_kl / rows
    loss_terms[5] = clipfrac / rows
    loss_terms[0] = loss_terms[1] - ent_coef * loss_terms[3] + vf_coef * loss_terms[2]


@kernel
def ppo_loss_backward(
    dloss, logprobs, values, old_logprobs, old_values, advantages, returns,
    clip_coef, ent_coef, vf_coef, clip_vloss, value_clip_coef, dlogprobs, dentropies, dvalues,
):  # fmt: skip
    """Gradient of the loss with respect to log pi, H and V. It is 0 where a clipped branch is the larger one.

    dlogpi_b = dloss/B (-A_b rho_b),      but 0 if rho_b > 1+epsilon and A_b > 0, or rho_b < 1-epsilon and A_b < 0
    dH_b     = dloss/B (-c_H)
    dV_b     = dloss/B c_V (V_b - R_b),  but 0 if |V_b - V_old_b| > epsilon_V and |Vc_b - R_b| > |V_b - R_b|

    On the edges (rho_b = 1+-epsilon, |V_b - V_old_b| = epsilon_V, equal errors) the unclipped branch is used. Inside
    the clip ranges the two branches are equal. The conditions test whether a number is outside its range, so rounding
    does not choose.

    Derivation: docs/gradients.md, "Clipped surrogate", "Clipped value loss" and the section after those.

    Args:
        dloss: upstream gradient, a scalar (1 when the loss itself is minimised).
        logprobs ... value_clip_coef: as in the forward pass.
        dlogprobs, dentropies, dvalues: outputs, (B,) each, overwritten.
    """
    rows = logprobs.shape[0]
    for b in range(rows):
        ratio = np.exp(np.float64(logprobs[b]) - np.float64(old_logprobs[b]))
        too_high = ratio > 1.0 + clip_coef and advantages[b] > 0
        too_low = ratio < 1.0 - clip_coef and advantages[b] < 0
        dlogprobs[b] = 0.0 if too_high or too_low else dloss / rows * -advantages[b] * ratio

        dentropies[b] = -dloss / rows * ent_coef

        error, clipped_error = _value_errors(values[b], old_values[b], returns[b], clip_vloss, value_clip_coef)
        dvalues[b] = 0.0 if abs(clipped_error) > abs(error) else dloss / rows * vf_coef * error


@kernel
def _value_errors(value, old_value, target, clip_vloss, value_clip_coef):
    """Return (V - R, Vc - R). The two are equal without `clip_vloss`, or if V is inside the clip range.

    Inside the range Vc = V. It is not computed as V_old + (V - V_old) there, because that rounds.
    """
    error = np.float64(value) - np.float64(target)
    change = np.float64(value) - np.float64(old_value)
    if not clip_vloss or abs(change) <= value_clip_coef:
        return error, error
    return error, np.float64(old_value) + math.copysign(value_clip_coef, change) - np.float64(target)
