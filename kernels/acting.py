"""What happens in every step of the environments, in one call each: the network acts, and rewards are counted.

Both are made of other kernels' formulas. A call costs more than the arithmetic of a few rows, the more so as the
environments have driven Python's code out of the cache; here there is one call where there were six.
"""

from kernels._jit import kernel
from kernels.activation import activation_forward
from kernels.finite import all_finite, first_outside
from kernels.linear import linear_forward

FINE, NOT_FINITE = -1, -2
FROM_OBS, TO_POLICY_OUTPUTS, TO_VALUES = -1, -1, -2  # in `layers`


@kernel
def acting_forward(params, layers, obs, limit, activation, scratch, policy_outputs, values):
    """Run a batch through the whole network, and look for numbers that have no place there before and after.

    h_l = f(h_s W_l + b_l),   s = s(l) the layer that l stands on (h_{-1} = obs), f the activation or the identity

    The outputs of `mlp_forward`, tower by tower, bit by bit. What a backward pass needs is not kept.

    Derivation: docs/gradients.md, "One call a step".

    Args:
        params: flat vector, (P,): somewhere in it each W_l, (I_l, O_l), with b_l, (O_l,), behind it.
        layers: (L, 5) integers, a row a layer, in the order of computation: where W_l begins in params, I_l, O_l, where
            its input begins in a row of scratch (-1: it is obs), and where its output does (-1: it is policy_outputs; -2: it is
            values; both without the activation).
        obs: (B, D).
        limit: >= 0, for the magnitudes of obs.
        activation: RELU or TANH.
        scratch: (B S,) at least, overwritten: S numbers a row, the outputs of the hidden layers.
        policy_outputs: output, (B, K), overwritten.
        values: output, (B,), overwritten.

    Returns:
        The index of the first number of obs, flat, that is not within the limit (nothing is computed then);
        -2 if an output is NaN or infinite; otherwise -1.
    """
    place = first_outside(obs.reshape(-1), limit)
    if place >= 0:
        return place
    rows = obs.shape[0]
    for l in range(layers.shape[0]):
        at, inputs, width, source, target = layers[l, 0], layers[l, 1], layers[l, 2], layers[l, 3], layers[l, 4]
        end = at + inputs * width
        weight, bias = params[at:end].reshape(inputs, width), params[end : end + width]
        h = obs if source == FROM_OBS else scratch[rows * source : rows * (source + inputs)].reshape(rows, inputs)
        if target == TO_POLICY_OUTPUTS:
            linear_forward(h, weight, bias, policy_outputs)
        elif target == TO_VALUES:
            linear_forward(h, weight, bias, values.reshape(rows, 1))
        else:
            y = scratch[rows * target : rows * (target + width)].reshape(rows, width)
            linear_forward(h, weight, bias, y)
            activation_forward(y, activation)
    return FINE if all_finite(policy_outputs.reshape(-1)) and all_finite(values) else NOT_FINITE


@kernel
def count_step(rewards, valid, terminations, truncations, limit, returns, lengths, dones):
    """Count what a step of N environments gave towards their episodes.

    R_n <- R_n + r_n,   T_n <- T_n + valid_n,   done_n = terminated_n or truncated_n

    Derivation: docs/gradients.md, "One call a step".

    Args:
        rewards: r, (N,).
        valid: (N,) booleans, False in reset rows.
        terminations, truncations: (N,) booleans.
        limit: >= 0, for the magnitudes of rewards.
        returns, lengths: R and T, (N,) each, modified in place.
        dones: output, (N,) booleans, overwritten.

    Returns:
        How many episodes ended; -1 if a reward is not within the limit, and then nothing was counted.
    """
    if first_outside(rewards, limit) >= 0:
        return -1
    ended = 0
    for n in range(rewards.shape[0]):
        returns[n] += rewards[n]
        lengths[n] += valid[n]
        dones[n] = terminations[n] or truncations[n]
        ended += dones[n]
    return ended
