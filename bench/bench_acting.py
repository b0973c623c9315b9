"""The calls of a step against the same in NumPy: 8 numbers in, two towers of two hidden layers, 4 actions."""

import numpy as np
import pytest
from bench_activation import numpy_activation_forward
from bench_finite import numpy_all_finite, numpy_first_outside

from kernels import TANH, acting_forward, count_step
from kernels.acting import FINE, FROM_OBS, NOT_FINITE, TO_PI_OUT, TO_VALUES
from ppo_np import PPOConfig
from ppo_np.distributions import discrete
from ppo_np.model import ActorCritic

OBS_SIZE, NUM_ACTIONS = 8, 4


def numpy_acting_forward(params, layers, obs, limit, activation, scratch, pi_out, values):
    """Layer by layer, with the hidden layers' outputs one behind the other in `scratch`."""
    place = numpy_first_outside(obs.reshape(-1), limit)
    if place >= 0:
        return place
    rows, heads = len(obs), {TO_PI_OUT: pi_out, TO_VALUES: values.reshape(-1, 1)}
    for at, inputs, width, source, target in layers:
        h = obs if source == FROM_OBS else scratch[rows * source : rows * (source + inputs)].reshape(rows, inputs)
        y = heads[target] if target < 0 else scratch[rows * target : rows * (target + width)].reshape(rows, width)
        end = at + inputs * width
        np.dot(h, params[at:end].reshape(inputs, width), out=y)
        y += params[end : end + width]
        if target >= 0:
            numpy_activation_forward(y, activation)
    return FINE if numpy_all_finite(pi_out) and numpy_all_finite(values) else NOT_FINITE


@pytest.mark.parametrize("shape", ["4x64", "64x64", "128x64", "128x1024"])
def test_acting_forward(kernel_or_numpy, normal, rng, sizes):
    rows, hidden = sizes
    config = PPOConfig(shared_sizes=(), policy_sizes=(hidden, hidden), value_sizes=(hidden, hidden))
    model = ActorCritic(OBS_SIZE, discrete(NUM_ACTIONS), config, rng)
    scratch, pi_out, values = np.zeros(4 * rows * hidden, np.float32), normal(rows, NUM_ACTIONS), normal(rows)
    arguments = model.params, model.layers, normal(rows, OBS_SIZE), 1e15, TANH, scratch, pi_out, values
    kernel_or_numpy(acting_forward, numpy_acting_forward, *arguments)


def numpy_count_step(rewards, valid, terminations, truncations, limit, returns, lengths, dones):
    """A handful of ufuncs."""
    if numpy_first_outside(rewards, limit) >= 0:
        return -1
    returns += rewards
    lengths += valid
    np.logical_or(terminations, truncations, out=dones)
    return int(dones.sum())


@pytest.mark.parametrize("shape", ["4", "64"])
def test_count_step(kernel_or_numpy, rng, sizes):
    flags = rng.random((3, *sizes)) < 0.1
    numbers = rng.standard_normal((2, *sizes))
    arguments = numbers[0], *flags, 1e15, numbers[1], rng.integers(9, size=sizes), np.zeros(sizes, bool)
    kernel_or_numpy(count_step, numpy_count_step, *arguments)
