"""Two kernels that run in every environment step: the network acts, and rewards and lengths of episodes are counted.

Both use the formulas of other kernels. For a few rows a call costs more than the arithmetic, especially after the
environments have displaced Python's code from the processor's cache. So each of the two is a single call.
"""

from kernels._jit import kernel
from kernels.activation import activation_forward
from kernels.finite import all_finite, first_outside
from kernels.linear import linear_forward
from kernels.views import matrix

FINE, NOT_FINITE = -1, -2
FROM_OBS, TO_POLICY_OUTPUTS, TO_VALUES = -1, -1, -2  # in `layers`


@kernel
def acting_forward(params, layers, obs, limit, activation, scratch, policy_outputs, values):
    """Forward pass of a batch through the whole network, with a check of the observations and of the outputs.

    h_l = f(h_in(l) W_l + b_l),   in(l) the layer below layer l (h_0 = obs), f the activation or the identity

    The outputs have the same bits as those of `mlp_forward` for each tower. Hidden outputs are not kept for a backward
    pass.

    Derivation: docs/gradients.md, "One call a step".

    Args:
        params: flat vector, (P,), which holds each W_l, (I_l, O_l), followed by b_l, (O_l,).
        layers: (L, 5) integers, one row per layer, in the order of computation. Columns: index of W_l in params; I_l;
            O_l; index of the input in a row of scratch (-1: the input is obs); index of the output in a row of scratch
            (-1: the output is policy_outputs; -2: it is values; both without the activation).
        obs: (B, D).
        limit: largest allowed magnitude of obs, >= 0.
        activation: RELU or TANH.
        scratch: flat, overwritten with the outputs of the hidden layers: B times the number of hidden units, or longer.
        policy_outputs: output, (B, K), overwritten.
        values: output, (B,), overwritten.

    Returns:
        The flat index of the first number of obs that is not within the limit, and then nothing is computed;
        -2 if an output is NaN or infinite; otherwise -1.
    """
    place = first_outside(matrix(obs, 0, 1, obs.size)[0], limit)
    if place >= 0:
        return place
    rows = obs.shape[0]
    for l in range(layers.shape[0]):
        at, inputs, width, source, target = layers[l, 0], layers[l, 1], layers[l, 2], layers[l, 3], layers[l, 4]
        end = at + inputs * width
        weight, bias = matrix(params, at, inputs, width), matrix(params, end, 1, width)[0]
        h = obs if source == FROM_OBS else matrix(scratch, rows * source, rows, inputs)
        if target == TO_POLICY_OUTPUTS:
            y = policy_outputs
        elif target == TO_VALUES:
            y = matrix(values, 0, rows, 1)
        else:
            y = matrix(scratch, rows * target, rows, width)
        linear_forward(h, weight, bias, y)
        if target >= 0:
            activation_forward(y, activation)
    outputs = matrix(policy_outputs, 0, 1, policy_outputs.size)[0]
    return FINE if all_finite(outputs) and all_finite(values) else NOT_FINITE


@kernel
def count_step(rewards, valid, terminations, truncations, limit, returns, lengths, dones):
    """Add the rewards of one step of N environments to the returns and the lengths of their episodes.

    returns_n <- returns_n + r_n,   lengths_n <- lengths_n + valid_n,   done_n = terminated_n or truncated_n

    Derivation: docs/gradients.md, "One call a step".

    Args:
        rewards: r, (N,).
        valid: (N,) booleans, False in reset rows.
        terminations, truncations: (N,) booleans.
        limit: largest allowed magnitude of rewards, >= 0.
        returns, lengths: sums of the rewards and numbers of steps so far, (N,) each, modified in place.
        dones: output, (N,) booleans, overwritten.

    Returns:
        The number of episodes that ended; -1 if a reward is not within the limit, and then nothing is counted.
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
