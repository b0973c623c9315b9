"""The calls of a step against the same in NumPy: 8 numbers in, two towers of two hidden layers, 4 actions."""

import numpy as np

from bench.kernels.cases import Case, benchmark_of, shapes
from bench.ours import NUM_ACTIONS, OBS_SIZE, model_of
from bench.reference.acting import numpy_acting_forward, numpy_count_step
from kernels.acting import acting_forward, count_step
from kernels.activation import TANH


@benchmark_of(shapes("4x64", "64x64", "128x64", "128x1024"))
def test_acting_forward(draw, b, hidden):
    model = model_of(shared_sizes=(), policy_sizes=(hidden, hidden), value_sizes=(hidden, hidden))
    outputs = np.zeros(4 * b * hidden, np.float32), draw(b, NUM_ACTIONS), draw(b)
    arguments = model.params, model.layers, draw(b, OBS_SIZE), 1e15, TANH, *outputs
    return Case(acting_forward, numpy_acting_forward, arguments)


@benchmark_of(shapes("4", "64"))
def test_count_step(draw, n):
    rewards, returns = draw.rng.standard_normal((2, n))
    arguments = rewards, *draw.flags(0.1, 3, n), 1e15, returns, draw.rng.integers(9, size=n), np.zeros(n, bool)
    return Case(count_step, numpy_count_step, arguments)
