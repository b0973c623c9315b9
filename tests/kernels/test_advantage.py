"""Advantages: the laws of generalised advantage estimation, its ends of episodes, and the normalisation."""

import numpy as np
import pytest
from conftest import assert_close, both_dtypes, garbage_like, run, seeds, single, sizes
from hypothesis import given
from hypothesis import strategies as st

from kernels.advantage import gae, normalize

GAMMA, LAMBDA = 0.9, 0.7
fractions = st.floats(0, 1)


def draw(seed, steps, envs, end_probability=0.25):
    """rewards, values, final_values, terminations, truncations; some transitions end in both ways at once."""
    rng = np.random.default_rng(seed)
    rewards, final_values = rng.standard_normal((2, steps, envs))
    terminations, truncations = rng.random((2, steps, envs)) < end_probability
    return rewards, rng.standard_normal((steps + 1, envs)), final_values, terminations, truncations


def estimate(rollout, gamma=GAMMA, gae_lambda=LAMBDA):
    """advantages, returns."""
    return run(gae, (*rollout, gamma, gae_lambda), garbage_like(rollout[0]), garbage_like(rollout[0]))


def three_steps(final_value=0.0, terminated_at=None, truncated_at=None):
    """One environment, rewards 1, 2, 3 and values 10, 20, 30, 40."""
    rewards, values = np.array([[1.0], [2.0], [3.0]]), np.array([[10.0], [20.0], [30.0], [40.0]])
    final_values = np.full((3, 1), final_value)
    steps = np.arange(3)[:, None]
    return rewards, values, final_values, steps == terminated_at, steps == truncated_at


def td_errors(rollout, gamma):
    """delta_t, one transition at a time, by its definition."""
    rewards, values, final_values, terminations, truncations = rollout
    successors = np.where(truncations, final_values, values[1:])
    return rewards + gamma * np.where(terminations, 0, successors) - values[:-1]


def summed_td_errors(rollout, gamma, gae_lambda):
    """A_t = sum_l (gamma lambda)^l delta_{t+l} up to the end of the episode: the definition, not the recursion."""
    deltas, dones = td_errors(rollout, gamma), rollout[3] | rollout[4]
    advantages = np.zeros_like(deltas)
    for t, n in np.ndindex(deltas.shape):
        ends = np.flatnonzero(dones[t:, n])
        length = ends[0] + 1 if ends.size else len(deltas) - t
        advantages[t, n] = np.dot((gamma * gae_lambda) ** np.arange(length), deltas[t : t + length, n])
    return advantages


def normalized(advantages):
    return run(normalize, (advantages,), garbage_like(advantages))


@given(seeds, sizes, sizes, fractions, fractions)
def test_advantage_is_the_discounted_sum_of_td_errors(seed, steps, envs, gamma, gae_lambda):
    rollout = draw(seed, steps, envs)
    advantages, returns = estimate(rollout, gamma, gae_lambda)
    assert_close(advantages, summed_td_errors(rollout, gamma, gae_lambda))
    assert_close(returns, advantages + rollout[1][:-1])


def test_three_steps_by_hand():
    # deltas: 1 + 10 - 10 = 1, 2 + 15 - 20 = -3, 3 + 20 - 30 = -7; each step adds a quarter of the next advantage.
    advantages, returns = estimate(three_steps(), 0.5, 0.5)
    np.testing.assert_array_equal(advantages[:, 0], [1 - 4.75 / 4, -3 - 7 / 4, -7])
    np.testing.assert_array_equal(returns[:, 0], [9.8125, 15.25, 23])


@given(seeds, sizes, sizes, fractions)
def test_lambda_0_gives_the_td_error(seed, steps, envs, gamma):
    rollout = draw(seed, steps, envs)
    assert_close(estimate(rollout, gamma, 0.0)[0], td_errors(rollout, gamma))


@given(seeds, sizes, sizes, fractions)
def test_gamma_0_gives_reward_minus_value(seed, steps, envs, gae_lambda):
    rollout = draw(seed, steps, envs)
    assert_close(estimate(rollout, 0.0, gae_lambda)[0], rollout[0] - rollout[1][:-1])


@given(seeds, sizes, sizes, fractions)
def test_lambda_1_gives_the_discounted_return(seed, steps, envs, gamma):
    rewards, values, _, _, _ = rollout = draw(seed, steps, envs, end_probability=0)
    expected = values[-1]
    _, returns = estimate(rollout, gamma, 1.0)
    for t in reversed(range(steps)):
        expected = rewards[t] + gamma * expected
        assert_close(returns[t], expected)


@given(seeds, sizes, sizes)
def test_exact_values_give_no_advantage(seed, steps, envs):
    rewards, values, final_values, terminations, truncations = draw(seed, steps, envs)
    for t in reversed(range(steps)):
        successors = np.where(truncations[t], final_values[t], values[t + 1])
        values[t] = rewards[t] + GAMMA * np.where(terminations[t], 0, successors)
    advantages, returns = estimate((rewards, values, final_values, terminations, truncations))
    assert_close(advantages, np.zeros((steps, envs)))
    assert_close(returns, values[:-1])


@pytest.mark.parametrize("end", [0, 1, 2])
def test_termination_bootstraps_from_nothing(end):
    advantages, returns = estimate(three_steps(final_value=100.0, terminated_at=end))
    assert_close(returns[end, 0], end + 1)
    assert_close(advantages[end, 0], end + 1 - 10 * (end + 1))


@pytest.mark.parametrize("end", [0, 1, 2])
def test_truncation_bootstraps_from_the_final_value(end):
    _, returns = estimate(three_steps(final_value=100.0, truncated_at=end))
    assert_close(returns[end, 0], end + 1 + GAMMA * 100)


@pytest.mark.parametrize("end", [0, 1, 2])
def test_termination_and_truncation_at_once_is_termination(end):
    both = estimate(three_steps(final_value=100.0, terminated_at=end, truncated_at=end))
    np.testing.assert_array_equal(both, estimate(three_steps(terminated_at=end)))


@pytest.mark.parametrize("how", ["terminated_at", "truncated_at"])
def test_nothing_after_an_end_is_seen_before_it(how):
    rollout = three_steps(final_value=5.0, **{how: 1})
    before = estimate(rollout)
    rollout[0][2:] += 100
    rollout[1][2:] -= 100
    for result, expected in zip(estimate(rollout), before, strict=True):
        np.testing.assert_array_equal(result[:2], expected[:2])
        assert result[2] != expected[2]


@given(seeds, sizes, sizes)
def test_final_values_matter_only_where_truncated(seed, steps, envs):
    rewards, values, final_values, terminations, truncations = draw(seed, steps, envs)
    expected = estimate((rewards, values, final_values, terminations, truncations))
    changed = np.where(truncations & ~terminations, final_values, 1e3)
    np.testing.assert_array_equal(estimate((rewards, values, changed, terminations, truncations)), expected)


def test_final_values_are_not_read_where_terminated():
    advantages, _ = estimate(three_steps(final_value=np.nan, terminated_at=1))
    assert np.all(np.isfinite(advantages))


@given(seeds, sizes, sizes)
def test_environments_do_not_see_one_another(seed, steps, envs):
    rollout = draw(seed, steps, envs)
    together = estimate(rollout)
    for n in range(envs):
        alone = estimate(tuple(np.ascontiguousarray(array[:, n : n + 1]) for array in rollout))
        for result, expected in zip(alone, together, strict=True):
            np.testing.assert_array_equal(result[:, 0], expected[:, n])


@given(seeds)
def test_float32_advantages_agree_with_float64(seed):
    rewards, values, final_values, *ends = draw(seed, 20, 2, end_probability=0.1)
    exact = estimate((rewards, values, final_values, *ends))
    rough = estimate((*single(rewards, values, final_values), *ends))
    assert_close(rough, exact, 1e-5)


@given(seeds, st.integers(2, 9), st.floats(0.01, 100), st.floats(-100, 100))
def test_normalized_advantages_have_mean_0_and_population_std_1(seed, rows, spread, shift):
    advantages = spread * np.random.default_rng(seed).standard_normal(rows) + shift
    result = normalized(advantages)
    std = np.std(advantages, ddof=0)
    assert_close(result, (advantages - advantages.mean()) / (std + 1e-8), 1e-10)
    assert abs(result.mean()) < 1e-9
    np.testing.assert_allclose(result.std(ddof=0), 1, rtol=1.1e-8 / std)


@both_dtypes
def test_two_rows_are_normalized_to_minus_1_and_1(dtype):
    assert_close(normalized(np.array([3.0, 7.0], dtype)), [-1, 1], 1e-7)


def test_normalizing_adds_1e_8_to_the_std():
    np.testing.assert_allclose(normalized(np.array([0.0, 2e-8])), [-0.5, 0.5], rtol=1e-9)


@both_dtypes
def test_one_row_is_left_unchanged(dtype):
    np.testing.assert_array_equal(normalized(np.array([3.5], dtype)), [3.5])


@both_dtypes
@pytest.mark.parametrize("constant", [0.0, -2.5, 1024.0])
def test_constant_advantages_become_0(dtype, constant):
    np.testing.assert_array_equal(normalized(np.full(5, constant, dtype)), np.zeros(5))


@both_dtypes
def test_normalize_may_overwrite_its_input(dtype):
    advantages = np.random.default_rng(0).standard_normal(7).astype(dtype)
    expected = normalized(advantages)
    normalize(advantages, advantages)
    np.testing.assert_array_equal(advantages, expected)


@given(seeds)
def test_float32_normalization_agrees_with_float64(seed):
    advantages = 3 + np.random.default_rng(seed).standard_normal(9)
    assert_close(normalized(*single(advantages)), normalized(advantages), 1e-5)
