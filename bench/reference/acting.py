"""The calls of one step in NumPy: the network, and the counting of episodes."""

import numpy as np

from bench.reference.activation import numpy_activation_forward
from bench.reference.finite import numpy_all_finite, numpy_first_outside
from kernels.acting import FINE, FROM_OBS, NOT_FINITE, TO_POLICY_OUTPUTS, TO_VALUES


def numpy_acting_forward(params, layers, obs, limit, activation, scratch, policy_outputs, values):
    """Layer by layer, with the hidden layers' outputs one behind the other in `scratch`."""
    place = numpy_first_outside(obs.reshape(-1), limit)
    if place >= 0:
        return place
    rows, heads = len(obs), {TO_POLICY_OUTPUTS: policy_outputs, TO_VALUES: values.reshape(-1, 1)}
    for at, inputs, width, source, target in layers:
        h = obs if source == FROM_OBS else scratch[rows * source : rows * (source + inputs)].reshape(rows, inputs)
        y = heads[target] if target < 0 else scratch[rows * target : rows * (target + width)].reshape(rows, width)
        end = at + inputs * width
        np.dot(h, params[at:end].reshape(inputs, width), out=y)
        y += params[end : end + width]
        if target >= 0:
            numpy_activation_forward(y, activation)
    return FINE if numpy_all_finite(policy_outputs) and numpy_all_finite(values) else NOT_FINITE


def numpy_count_step(rewards, valid, terminations, truncations, limit, returns, lengths, dones):
    """A handful of ufuncs."""
    if numpy_first_outside(rewards, limit) >= 0:
        return -1
    returns += rewards
    lengths += valid
    np.logical_or(terminations, truncations, out=dones)
    return int(dones.sum())
