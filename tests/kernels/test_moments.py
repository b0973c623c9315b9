"""Running moments against NumPy's of all rows at once, standardisation, and the discounted reward by its definition."""

import numpy as np
import pytest
from conftest import assert_close, both_dtypes, garbage_like, run, seeds, sizes
from hypothesis import given
from hypothesis import strategies as st

from kernels.moments import BLOCK, discounted_sums, standardize, update_moments

batch_sizes = st.lists(st.integers(0, 9), min_size=1, max_size=5)
fractions = st.floats(0, 1)
block_edges = pytest.mark.parametrize("rows", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])


def nothing_seen(columns):
    """count, mean, variance."""
    return np.zeros(1), np.zeros(columns), np.ones(columns)


def update(state, x, valid=None):
    """count, mean, variance after a batch; `state` is left alone."""
    valid = np.ones(len(x), bool) if valid is None else valid
    return run(update_moments, (x, valid), *(array.copy() for array in state))


def update_in_batches(x, valid, ends):
    state = nothing_seen(x.shape[1])
    for batch, batch_valid in zip(np.split(x, ends), np.split(valid, ends), strict=True):
        state = update(state, batch, batch_valid)
    return state


def assert_same_bits(actual, expected):
    assert [array.tobytes() for array in actual] == [array.tobytes() for array in expected]


def standardized(x, mean, variance, limit=np.inf):
    return run(standardize, (x, mean, variance, limit), garbage_like(x))


def draw_moments(rng, columns):
    return rng.standard_normal(columns), rng.random(columns)


def draw_rewards(seed, steps, envs):
    """rewards, valid, dones, running; the rewards that do not count are NaN."""
    rng = np.random.default_rng(seed)
    valid, dones = rng.random((2, steps, envs)) < np.array([0.7, 0.3])[:, None, None]
    return np.where(valid, rng.standard_normal((steps, envs)), np.nan), valid, dones, rng.standard_normal(envs)


def discounted(rewards, valid, dones, running, gamma):
    """The sums, and `running` afterwards; the given `running` is left alone."""
    running, sums = run(discounted_sums, (rewards, valid, dones, gamma), running.copy(), np.full(rewards.shape, np.nan))
    return sums, running


def summed_rewards(rewards, valid, dones, running, gamma):
    """One environment: S_t = sum_k gamma^(t-k) r_k over the episode's valid steps, with no recursion."""
    sums, episode = np.zeros(len(rewards)), [running]
    for t in np.flatnonzero(valid):
        episode.append(rewards[t])
        sums[t] = np.dot(gamma ** np.arange(len(episode))[::-1], episode)
        episode = [0.0] if dones[t] else episode
    return sums, np.dot(gamma ** np.arange(len(episode))[::-1], episode)


@given(seeds, batch_sizes, sizes, st.floats(0.2, 1), st.integers(-6, 6), st.floats(-10, 10))
def test_batch_by_batch_gives_the_moments_of_all_valid_rows(seed, rows, columns, probability, exponent, offset):
    rng, scale = np.random.default_rng(seed), 10.0**exponent
    x = scale * (rng.standard_normal((sum(rows), columns)) + offset)
    valid = rng.random(len(x)) < probability
    x[~valid] = np.nan
    count, mean, variance = update_in_batches(x, valid, np.cumsum(rows)[:-1])
    assert count[0] == valid.sum()
    if valid.any():
        assert_close(mean / scale, x[valid].mean(axis=0) / scale)
        assert_close(variance / scale**2, x[valid].var(axis=0) / scale**2)


def test_two_batches_by_hand():
    state = update(nothing_seen(2), np.array([[1.0, 10], [3, 10], [5, 40]]))
    assert_close(np.hstack(state), [3, 3, 20, 8 / 3, 200], 1e-15)
    state = update(state, np.array([[7.0, 20]]))
    assert_close(np.hstack(state), [4, 4, 20, 5, 150], 1e-15)


@pytest.mark.parametrize("rows", [1, 2, 49, 100])
@pytest.mark.parametrize("columns", [1, 3, 8, 33])
def test_the_first_batch_replaces_what_stood_there_before(rows, columns):
    x = 1e-9 * np.random.default_rng(0).standard_normal((rows, columns))
    count, mean, variance = update(nothing_seen(columns), x)
    assert count[0] == rows
    assert_close(mean * 1e9, x.mean(axis=0) * 1e9, 1e-14)
    assert_close(variance * 1e18, x.var(axis=0) * 1e18, 1e-14)


@given(seeds, sizes, sizes, st.integers(0, 4))
def test_a_batch_without_a_valid_row_changes_nothing(seed, rows, columns, empty_rows):
    nothing = np.full((empty_rows, columns), np.nan), np.zeros(empty_rows, bool)
    seen = update(nothing_seen(columns), np.random.default_rng(seed).standard_normal((rows, columns)))
    for state in (nothing_seen(columns), seen):
        assert_same_bits(update(state, *nothing), state)


@both_dtypes
@given(seed=seeds, rows=sizes, columns=sizes)
def test_rows_that_are_not_valid_have_no_influence(dtype, seed, rows, columns):
    rng = np.random.default_rng(seed)
    state = update(nothing_seen(columns), rng.standard_normal((3, columns)))
    x, valid = rng.standard_normal((rows, columns)).astype(dtype), rng.random(rows) < 0.5
    expected = update(state, x, valid)
    for anything in (np.nan, np.inf, 1e30):
        x[~valid] = anything
        assert_same_bits(update(state, x, valid), expected)


@given(seeds, sizes, sizes)
def test_a_valid_nan_shows_in_its_column_and_nowhere_else(seed, rows, columns):
    rng = np.random.default_rng(seed)
    x, column = rng.standard_normal((rows, columns)), rng.integers(columns)
    x[rng.integers(rows), column] = np.nan
    for moment in update(nothing_seen(columns), x)[1:]:
        np.testing.assert_array_equal(np.isnan(moment), np.arange(columns) == column)


def test_a_small_spread_around_a_large_mean_is_kept():
    spread = 2.0**-10
    x = 1e6 + spread * np.tile([[1.0], [-1.0]], (200, 1))
    _, mean, variance = update(nothing_seen(1), x)
    np.testing.assert_allclose(mean, 1e6, rtol=1e-15)
    np.testing.assert_allclose(variance, spread**2, rtol=1e-12)
    _, mean, variance = update_in_batches(x, np.ones(400, bool), np.arange(7, 400, 7))
    np.testing.assert_allclose(mean, 1e6, rtol=1e-15)
    np.testing.assert_allclose(variance, spread**2, rtol=1e-8)


@given(seeds, sizes, sizes)
def test_neither_the_order_of_rows_nor_of_batches_matters(seed, first, second):
    rng = np.random.default_rng(seed)
    x, valid = rng.standard_normal((first + second, 3)), np.ones(first + second, bool)
    expected = update_in_batches(x, valid, [first])
    for one, other in zip(update_in_batches(x[::-1].copy(), valid, [second]), expected, strict=True):
        assert_close(one, other)


@given(seeds, sizes, sizes)
def test_columns_do_not_see_one_another(seed, rows, columns):
    rng = np.random.default_rng(seed)
    batches = rng.standard_normal((2, rows, columns))
    together = update(update(nothing_seen(columns), batches[0]), batches[1])
    for d in range(columns):
        first, second = (np.ascontiguousarray(batch[:, d : d + 1]) for batch in batches)
        alone = update(update(nothing_seen(1), first), second)
        for one, other in zip(alone[1:], together[1:], strict=True):
            assert_close(one, other[d : d + 1])


def test_float32_rows_are_summed_in_float64():
    x = np.random.default_rng(0).standard_normal((999, 3)).astype(np.float32) + np.float32(100)
    valid = np.ones(999, bool)
    rounded = update_in_batches(x, valid, [333])
    for one, other in zip(rounded, update_in_batches(x.astype(np.float64), valid, [333]), strict=True):
        assert_close(one, other)


@both_dtypes
@block_edges
@pytest.mark.parametrize("columns", [1, 2, 9])
def test_standardizing_agrees_with_numpy(dtype, rows, columns):
    rng = np.random.default_rng(rows)
    x = rng.standard_normal((rows, columns)).astype(dtype)
    mean, variance = draw_moments(rng, columns)
    expected = np.clip((x - mean) / np.sqrt(variance + 1e-8), -1.5, 1.5)
    result = standardized(x, mean, variance, 1.5)
    assert result.dtype == dtype
    assert_close(result, expected, 1e-13 if dtype == np.float64 else 1e-6)


def test_standardizing_adds_1e_8_to_the_variance():
    x, variance = np.array([[1e-4, 2e-4, -3.0]]), np.array([0, 3e-8, 9 - 1e-8])
    assert_close(standardized(x, np.zeros(3), variance), [[1, 1, -1]])


@given(seeds, st.integers(2, 9), sizes)
def test_rows_standardized_by_their_own_moments_have_mean_0_and_variance_1(seed, rows, columns):
    x = 5 + np.random.default_rng(seed).standard_normal((rows, columns))
    _, mean, variance = update(nothing_seen(columns), x)
    result = standardized(x, mean, variance)
    assert_close(result.mean(axis=0), np.zeros(columns), 1e-10)
    assert_close(result.var(axis=0), variance / (variance + 1e-8), 1e-10)


def test_before_anything_was_seen_standardizing_changes_almost_nothing():
    x = np.random.default_rng(0).standard_normal((5, 3))
    np.testing.assert_allclose(standardized(x, *nothing_seen(3)[1:]), x, rtol=5.1e-9)


@both_dtypes
def test_limit(dtype):
    x = np.array([[-np.inf, -9, -2, -1.5, 0, 1.5, 2, 9, np.inf]], dtype)
    expected = np.array([[-2, -2, -2, -1.5, 0, 1.5, 2, 2, 2]])
    np.testing.assert_allclose(standardized(x, np.zeros(9), np.ones(9), 2.0), expected, rtol=1e-7)
    beyond = np.abs(x) > 2
    np.testing.assert_array_equal(standardized(x, np.zeros(9), np.ones(9), 2.0)[beyond], expected[beyond])


@both_dtypes
@block_edges
@pytest.mark.parametrize("columns", [1, 9])
def test_nan_stays_nan_and_stays_where_it_is(dtype, rows, columns):
    rng = np.random.default_rng(rows)
    x = rng.standard_normal((rows, columns)).astype(dtype)
    x[rng.random(x.shape) < 0.5] = np.nan
    result = standardized(x, *draw_moments(rng, columns), 1.0)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(x))


@both_dtypes
@block_edges
@pytest.mark.parametrize("columns", [1, 9])
def test_standardize_may_overwrite_its_input(dtype, rows, columns):
    rng = np.random.default_rng(rows)
    x = rng.standard_normal((rows, columns)).astype(dtype)
    mean, variance = draw_moments(rng, columns)
    expected = standardized(x, mean, variance, 1.0)
    standardize(x, mean, variance, 1.0, x)
    np.testing.assert_array_equal(x, expected)


def test_a_large_mean_is_subtracted_from_float32_in_float64():
    x, mean = np.array([[1e6], [1e6 + 1]], np.float32), np.array([1e6 + 0.01])
    assert_close(standardized(x, mean, np.ones(1)), [[-0.01], [0.99]], 1e-7)


def test_discounted_rewards_by_hand():
    """An end in environment 0, a transition that does not count in 1, nothing special in 2; then a second rollout."""
    rewards = np.array([[1.0, 8, 1], [2, np.nan, 1], [4, 2, 1]])
    valid, dones = np.ones((3, 3), bool), np.zeros((3, 3), bool)
    valid[1, 1] = False
    dones[1, :2] = True
    sums, running = discounted(rewards, valid, dones, np.array([0.0, 0, 16]), 0.5)
    np.testing.assert_array_equal(sums, [[1, 8, 9], [2.5, 0, 5.5], [4, 6, 3.75]])
    np.testing.assert_array_equal(running, [4, 6, 3.75])
    sums, running = discounted(np.ones((1, 3)), valid[:1], np.array([[True, False, False]]), running, 0.5)
    np.testing.assert_array_equal(sums, [[3, 4, 2.875]])
    np.testing.assert_array_equal(running, [0, 4, 2.875])


@given(seeds, sizes, sizes, fractions)
def test_discounted_rewards_by_their_definition(seed, steps, envs, gamma):
    rewards, valid, dones, running = draw_rewards(seed, steps, envs)
    sums, after = discounted(rewards, valid, dones, running, gamma)
    for n in range(envs):
        expected, expected_after = summed_rewards(rewards[:, n], valid[:, n], dones[:, n], running[n], gamma)
        assert_close(sums[:, n], expected)
        assert_close(after[n], expected_after)


@given(seeds, st.integers(2, 9), sizes, fractions, st.data())
def test_two_rollouts_give_the_sums_of_one_long_rollout(seed, steps, envs, gamma, data):
    rewards, valid, dones, running = draw_rewards(seed, steps, envs)
    sums, after = discounted(rewards, valid, dones, running, gamma)
    cut = data.draw(st.integers(1, steps - 1))
    first, between = discounted(rewards[:cut], valid[:cut], dones[:cut], running, gamma)
    second, end = discounted(rewards[cut:], valid[cut:], dones[cut:], between, gamma)
    assert_same_bits((np.vstack([first, second]), end), (sums, after))


@given(seeds, sizes, sizes, fractions)
def test_where_nothing_counts_the_sums_are_0_and_running_is_kept(seed, steps, envs, gamma):
    rewards, valid, dones, running = draw_rewards(seed, steps, envs)
    sums, after = discounted(rewards, np.zeros_like(valid), dones, running, gamma)
    np.testing.assert_array_equal(sums, np.zeros((steps, envs)))
    assert_same_bits([after], [running])


@given(seeds, sizes, sizes, fractions)
def test_what_does_not_count_is_not_looked_at(seed, steps, envs, gamma):
    rewards, valid, dones, running = draw_rewards(seed, steps, envs)
    expected = discounted(rewards, valid, dones, running, gamma)
    changed = discounted(np.where(valid, rewards, 1e3), valid, dones ^ ~valid, running, gamma)
    assert_same_bits(changed, expected)


def test_float32_rewards_are_summed_in_float64():
    rewards, never = np.full((999, 1), 0.1, np.float32), np.zeros((999, 1), bool)
    sums, running = discounted(rewards, ~never, never, np.zeros(1), 1.0)
    assert_close(sums[:, 0], np.float64(np.float32(0.1)) * np.arange(1, 1000))
    assert running[0] == sums[-1, 0]
