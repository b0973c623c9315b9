"""The calls of a step against the same in NumPy: 8 numbers in, two towers of two hidden layers, 4 actions."""

import numpy as np

from bench.kernels.cases import benchmark_of, shapes
from bench.ours import NUM_ACTIONS, OBS_SIZE, model_of
from kernels.acting import acting_forward, count_step
from kernels.activation import TANH


def acting(draw, b, hidden):
    model = model_of(shared_sizes=(), policy_sizes=(hidden, hidden), value_sizes=(hidden, hidden))
    outputs = np.zeros(4 * b * hidden, np.float32), draw(b, NUM_ACTIONS), draw(b)
    return model.params, model.layers, draw(b, OBS_SIZE), 1e15, TANH, *outputs


def counting(draw, n):
    rewards, returns = draw.rng.standard_normal((2, n))
    return rewards, *draw.flags(0.1, 3, n), 1e15, returns, draw.rng.integers(9, size=n), np.zeros(n, bool)


test_acting_forward = benchmark_of(acting_forward, shapes("4x64", "64x64", "128x64", "128x1024"), acting)
test_count_step = benchmark_of(count_step, shapes("4", "64"), counting)
