"""The optimiser: gradient clipping by global norm, and Adam against the paper's algorithm."""

import math
from contextlib import suppress

import numpy as np
import pytest
from conftest import assert_close, both_dtypes, seeds
from hypothesis import given
from hypothesis import strategies as st

from kernels.optimizer import adam, clip_by_global_norm, global_norm

LEARNING_RATE, BETA1, BETA2, EPS = 3e-3, 0.9, 0.999, 1e-5
lengths = st.integers(1, 9)


def draw(seed, length, scale=1.0):
    return scale * np.random.default_rng(seed).standard_normal(length)


def clipped(grads, max_norm):
    """The gradient after clipping to `max_norm`; `grads` itself is left alone."""
    result = grads.copy()
    clip_by_global_norm(result, global_norm(grads), max_norm)
    return result


class Adam:
    """Parameters and moments, zero at first, and the count of the steps taken."""

    def __init__(self, length, dtype=np.float64):
        self.params, self.m, self.v = np.zeros((3, length), dtype)
        self.count = 0

    def step(self, grads, learning_rate=LEARNING_RATE, beta1=BETA1, beta2=BETA2, eps=EPS):
        self.count += 1
        before = grads.copy()
        adam(self.params, grads, self.m, self.v, self.count, learning_rate, beta1, beta2, eps)
        np.testing.assert_array_equal(grads, before)


def reference_adam(gradients, learning_rate, beta1, beta2, eps):
    """Parameters after all steps, with both moments as weighted sums over the gradients and not as recursions."""
    params = np.zeros_like(gradients[0])
    for count in range(1, len(gradients) + 1):
        past, age = np.array(gradients[:count]), np.arange(count)[::-1, None]
        m_hat = (1 - beta1) * np.sum(beta1**age * past, axis=0) / (1 - beta1**count)
        v_hat = (1 - beta2) * np.sum(beta2**age * past**2, axis=0) / (1 - beta2**count)
        params -= learning_rate * m_hat / (np.sqrt(v_hat) + eps)
    return params


@given(seeds, lengths)
def test_norm_agrees_with_numpy(seed, length):
    grads = draw(seed, length)
    before = grads.copy()
    assert_close(global_norm(grads), np.linalg.norm(grads))
    np.testing.assert_array_equal(grads, before)


def test_norm_by_hand():
    assert global_norm(np.array([3.0, 0.0, -4.0])) == 5
    assert global_norm(np.array([-2.0])) == 2
    assert global_norm(np.zeros(3)) == 0


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_float32_norm_is_summed_in_float64(scale):
    grads = np.full(4, scale, np.float32)
    np.testing.assert_allclose(global_norm(grads), 2 * float(grads[0]), rtol=1e-12)


@given(seeds, lengths, st.floats(0.01, 0.99))
def test_clipping_gives_the_largest_norm_allowed_and_keeps_the_direction(seed, length, fraction):
    grads = draw(seed, length)
    max_norm = fraction * np.linalg.norm(grads)
    result = clipped(grads, max_norm)
    assert_close(np.linalg.norm(result), max_norm)
    assert_close(result / max_norm, grads / np.linalg.norm(grads))


@given(seeds, lengths, st.floats(1, 100))
def test_a_gradient_within_the_norm_is_not_touched(seed, length, factor):
    grads = draw(seed, length)
    np.testing.assert_array_equal(clipped(grads, factor * global_norm(grads)), grads)


@both_dtypes
def test_an_infinite_norm_never_clips(dtype):
    grads = np.array([1e10, -1e-10, 0], dtype)
    np.testing.assert_array_equal(clipped(grads, math.inf), grads)


@both_dtypes
def test_clipping_a_zero_gradient_gives_zeros(dtype):
    np.testing.assert_array_equal(clipped(np.zeros(3, dtype), 0.5), np.zeros(3))


@both_dtypes
def test_clipping_by_hand(dtype):
    assert_close(clipped(np.array([3, -4], dtype), 2.5), [1.5, -2], 1e-7)


def test_three_steps_by_hand():
    """Gradients 2, 5, -4 with beta1 = 1/2, beta2 = 3/4, eps = 2 and learning rate 1.

    k    m      v       mhat   sqrt(vhat)   change of theta
    1    1      1       2      2            -2/(2+2)
    2    3      7       4      4            -4/(4+2)
    3    -1/2   37/4    -4/7   4            +4/7/(4+2)
    """
    adam = Adam(1)
    steps = [(2.0, 1, 1, -1 / 2), (5.0, 3, 7, -7 / 6), (-4.0, -1 / 2, 37 / 4, -15 / 14)]
    for grad, m, v, theta in steps:
        adam.step(np.array([grad]), learning_rate=1.0, beta1=0.5, beta2=0.75, eps=2.0)
        assert_close([adam.m[0], adam.v[0], adam.params[0]], [m, v, theta])


@given(seeds, lengths, st.integers(1, 6))
def test_adam_agrees_with_numpy(seed, length, count):
    gradients = [draw(seed + k, length) for k in range(count)]
    adam = Adam(length)
    for grads in gradients:
        adam.step(grads)
    assert_close(adam.params, reference_adam(gradients, LEARNING_RATE, BETA1, BETA2, EPS), 1e-11)


@given(seeds, st.floats(0, 0.999), st.floats(0, 0.999))
def test_adam_agrees_with_numpy_for_every_decay_rate(seed, beta1, beta2):
    gradients = [draw(seed + k, 3) for k in range(4)]
    adam = Adam(3)
    for grads in gradients:
        adam.step(grads, beta1=beta1, beta2=beta2)
    assert_close(adam.params, reference_adam(gradients, LEARNING_RATE, beta1, beta2, EPS), 1e-10)


@both_dtypes
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_first_step_is_the_learning_rate_against_the_sign_whatever_the_scale(dtype, scale):
    adam = Adam(3, dtype)
    adam.step(np.array([scale, -2 * scale, 0.5 * scale], dtype), eps=1e-20)
    np.testing.assert_allclose(adam.params, [-LEARNING_RATE, LEARNING_RATE, -LEARNING_RATE], rtol=1e-5)


@given(seeds, lengths)
def test_adam_starts_from_the_parameters_given(seed, length):
    start, grads = draw(seed, length), draw(seed + 1, length)
    from_zero, from_start = Adam(length), Adam(length)
    from_start.params[:] = start
    from_zero.step(grads)
    from_start.step(grads)
    assert_close(from_start.params, start + from_zero.params)


def test_zero_gradient_and_zero_moments_leave_the_parameters():
    adam = Adam(2)
    adam.step(np.zeros(2))
    for array in (adam.params, adam.m, adam.v):
        np.testing.assert_array_equal(array, [0, 0])


@both_dtypes
def test_moments_of_a_dead_unit_become_zero_and_not_subnormal(dtype):
    """0.9 times the smallest subnormal number rounds to itself: there they would stay, and slow each step down."""
    adam, tiny, epsilon = Adam(4, dtype), np.finfo(dtype).tiny, np.finfo(dtype).eps
    adam.m[:] = np.array([4, -4, 1, -1]) * tiny / epsilon
    adam.v[:] = np.array([4, 4, 1, 0]) * tiny
    adam.step(np.zeros(4, dtype), beta1=0.5, beta2=0.5)
    np.testing.assert_array_equal(adam.m, np.array([2, -2, 0, 0]) * tiny / epsilon)
    np.testing.assert_array_equal(adam.v, np.array([2, 2, 0, 0]) * tiny)
    for _ in range(2):
        adam.step(np.zeros(4, dtype), beta1=0.5, beta2=0.5)
    assert not adam.m.any() and not adam.v.any()


@both_dtypes
def test_the_smallest_moments_that_are_kept_stay(dtype):
    adam, tiny = Adam(2, dtype), np.finfo(dtype).tiny
    smallest = tiny / np.finfo(dtype).eps
    adam.m[:] = np.array([2 * smallest, -2 * smallest])
    adam.v[:] = np.array([2 * tiny, 2 * tiny])
    adam.step(np.zeros(2, dtype), beta1=0.5, beta2=0.5)
    np.testing.assert_array_equal(adam.m, np.array([smallest, -smallest], dtype))
    np.testing.assert_array_equal(adam.v, np.array([tiny, tiny], dtype))


@both_dtypes
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_moments_that_are_not_finite_do_not_become_zero(dtype, value):
    adam = Adam(1, dtype)
    adam.m[:] = adam.v[:] = value
    with np.errstate(invalid="ignore"), suppress(ValueError):  # Python's square root of -inf, without the JIT
        adam.step(np.zeros(1, dtype))
    np.testing.assert_array_equal([adam.m[0], adam.v[0]], [value, value])


def test_learning_rate_0_moves_the_moments_only():
    adam = Adam(2)
    adam.step(np.array([1.0, -1.0]), learning_rate=0.0)
    np.testing.assert_array_equal(adam.params, [0, 0])
    assert_close(adam.m, [1 - BETA1, BETA1 - 1])
    assert_close(adam.v, [1 - BETA2] * 2)


@given(seeds)
def test_float32_agrees_with_float64(seed):
    exact, rough = Adam(9), Adam(9, np.float32)
    for k in range(5):
        grads = draw(seed + k, 9)
        exact.step(grads)
        rough.step(grads.astype(np.float32))
        assert_close(clipped(grads.astype(np.float32), 0.5), clipped(grads, 0.5), 1e-6)
    assert_close(rough.params, exact.params, 1e-6)
