"""The optimiser as training holds it; what a step does to each number is tested with the kernel."""

import numpy as np
import pytest

from kernels.optimizer import adam
from ppo_np.config import PPOConfig
from ppo_np.network.optimizer import Adam

CONFIG = PPOConfig(adam_beta1=0.8, adam_beta2=0.95, adam_eps=1e-3)


def draw(dtype=np.float32):
    """Parameters and a gradient."""
    params, grads = np.random.default_rng(0).standard_normal((2, 7)).astype(dtype)
    return params, grads


def test_a_new_one_remembers_nothing():
    optimizer = Adam(*draw(), CONFIG)
    assert (optimizer.name, optimizer.steps, list(optimizer.arrays())) == ("adam", 0, ["m", "v"])
    for array in optimizer.arrays().values():
        assert (array.shape, array.dtype, array.any()) == ((7,), np.float32, False)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_steps_are_the_kernels_with_the_constants_of_the_settings(dtype):
    params, grads = draw(dtype)
    expected, (m, v), optimizer = params.copy(), np.zeros((2, 7), dtype), Adam(params, grads, CONFIG)
    for step, learning_rate in enumerate((0.1, 0.03, 0.01), start=1):
        grads[:] *= -0.7  # written in place, as the backward pass does
        adam(expected, grads, m, v, step, learning_rate, 0.8, 0.95, 1e-3)
        optimizer.step(learning_rate)
        assert optimizer.steps == step
        np.testing.assert_array_equal(params, expected)
        np.testing.assert_equal(optimizer.arrays(), {"m": m, "v": v})


def test_writing_into_its_arrays_and_its_count_is_going_on_from_there():
    optimizers = [Adam(*draw(), CONFIG) for _ in range(2)]
    optimizers[0].step(0.1)
    for name, array in optimizers[1].arrays().items():
        array[:] = optimizers[0].arrays()[name]
    optimizers[1].steps = optimizers[0].steps
    for optimizer in optimizers:
        optimizer.step(0.1)
    np.testing.assert_equal(*(optimizer.arrays() for optimizer in optimizers))
