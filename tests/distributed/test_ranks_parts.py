"""The parts of which a run on several ranks is made: moments, minibatches, records, draws, reports."""

from itertools import chain
from types import SimpleNamespace

import numpy as np
from conftest import seeds
from hypothesis import given
from hypothesis import strategies as st
from thread_ranks import ThreadRanks, together

from kernels.advantage import normalize
from ppo_np import PPOConfig
from ppo_np.distributed.ranks import ALONE, OwnRows
from ppo_np.environments.env_recorder import EnvRecord
from ppo_np.environments.stream import Episode
from ppo_np.learning.minibatches import MinibatchSampler, normalize_advantages, shuffled
from ppo_np.learning.normalizer import merge_moments
from ppo_np.learning.rollout import RolloutReport
from ppo_np.network.threads import threads


@given(st.lists(st.integers(0, 6), min_size=1, max_size=5), seeds)
def test_pooled_moments_are_those_of_all_rows(counts, seed):
    rng = np.random.default_rng(seed)
    groups = [rng.normal(rng.normal(), 1, (count, 2)) for count in counts]
    rows = np.concatenate(groups)
    if not len(rows):
        return
    means = np.array([group.mean(axis=0) if len(group) else np.zeros(2) for group in groups])
    variances = np.array([group.var(axis=0) if len(group) else np.ones(2) for group in groups])
    count, mean, variance = merge_moments(np.array(counts)[:, None], means, variances)
    assert count == len(rows)
    np.testing.assert_allclose(mean, rows.mean(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(variance, rows.var(axis=0), rtol=1e-12, atol=1e-12)


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 5), st.integers(1, 9), seeds)
def test_slices_are_the_minibatches_of_one_process(size, each, steps, minibatches, seed):
    rng = np.random.default_rng(seed)
    num_envs = size * each
    valid = rng.random((steps, num_envs)) < 0.8
    numbers = np.arange(steps * num_envs).reshape(steps, num_envs)  # what lies in the buffers

    def split(ranks):
        own = ranks.envs(num_envs)
        mine = numbers[:, own.start : own.stop].reshape(-1)
        sampler = MinibatchSampler(ranks, steps, num_envs)
        epochs = sampler.epochs(valid[:, own.start : own.stop], 2, minibatches, None, np.random.default_rng(seed))
        return [
            (mine[part.indices].tolist(), part.total, (part.epoch, part.number)) for epoch in epochs for part in epoch
        ]

    orders = shuffled(np.flatnonzero(valid), 2, np.random.default_rng(seed))
    expected = [
        (part, (epoch + 1, number + 1))
        for epoch, order in enumerate(orders)
        for number, part in enumerate(np.array_split(numbers.reshape(-1)[order], minibatches))
        if len(part)
    ]
    of_ranks = together(size, split)
    for number, (whole, name) in enumerate(expected):
        parts = [slices[number] for slices in of_ranks]
        assert sorted(row for rows, _, _ in parts for row in rows) == sorted(whole.tolist())
        assert {(total, part_name) for _, total, part_name in parts} == {(len(whole), name)}
    assert {len(slices) for slices in of_ranks} == {len(expected)}


@given(st.integers(2, 4), st.integers(1, 5), st.integers(1, 12), seeds)
def test_advantages_are_normalised_as_one_process_does(size, steps, minibatches, seed):
    numbers = np.random.default_rng(seed).normal(5, 3, (steps, size))  # an environment a rank

    def split(ranks):
        advantages = numbers[:, ranks.rank : ranks.rank + 1].copy()
        sampler, rng = MinibatchSampler(ranks, steps, size), np.random.default_rng(seed)
        epochs = sampler.epochs(np.ones((steps, 1), bool), 2, minibatches, advantages, rng)
        return list(chain(*epochs))

    def normalized(part, rank):
        minibatch = SimpleNamespace(advantages=numbers[part.indices, rank].copy())
        normalize_advantages(minibatch, part)
        return minibatch.advantages

    for parts in zip(*together(size, split), strict=True):
        whole = np.concatenate([numbers[part.indices, rank] for rank, part in enumerate(parts)])
        normalize(whole, whole)
        own = [normalized(part, rank) for rank, part in enumerate(parts)]
        np.testing.assert_allclose(np.concatenate(own), whole, rtol=1e-12, atol=1e-12)


@given(st.integers(1, 4), st.lists(st.booleans(), min_size=1, max_size=3), seeds)
def test_records_of_ranks_are_joined_and_parted(size, known, seed):
    rng = np.random.default_rng(seed)
    envs = size * len(known)
    known = np.array(known * size, np.uint8)
    lengths = rng.integers(0, 4, envs)
    record = EnvRecord(
        obs=rng.random((envs, 2)), returns=rng.random(envs), lengths=lengths, steps=np.array(9),
        episodes=rng.integers(0, 9, envs), seeds=rng.integers(0, 9, envs),
        rng_then=rng.integers(0, 2, (envs, 6)).astype(np.uint64), rng_now=np.zeros((envs, 6), np.uint64),
        known=known, actions=rng.random((int(lengths[known == 1].sum()), 2)),
    )  # fmt: skip
    parts = [record.part(range(start, start + len(known) // size)) for start in range(0, envs, len(known) // size)]
    for part in parts:
        EnvRecord.of_arrays(part.arrays())  # well formed
    joined = EnvRecord.joined(parts)
    for name, array in record.arrays().items():
        np.testing.assert_array_equal(getattr(joined, name), array, name)


def test_parts_without_a_history_are_joined_with_those_that_have_one():
    """Such a part knows neither the shape of an action nor its type."""
    record = {
        "obs": np.zeros((1, 1)), "returns": np.zeros(1), "lengths": np.zeros(1, int), "steps": np.array(2),
        "episodes": np.zeros(1, int), "seeds": np.zeros(1, int), "rng_then": np.zeros((1, 6), np.uint64),
        "rng_now": np.zeros((1, 6), np.uint64), "known": np.zeros(1, np.uint8), "actions": np.zeros(0, np.uint8),
    }  # fmt: skip
    some = record | {"lengths": np.array([2]), "known": np.ones(1, np.uint8), "actions": np.ones((2, 3), np.float32)}
    joined = EnvRecord.joined([EnvRecord(**record), EnvRecord(**some)])
    assert joined.actions.shape == (2, 3) and joined.actions.dtype == np.float32
    assert EnvRecord.joined([EnvRecord(**record)] * 2).actions.shape == (0,)


def test_own_rows_are_those_of_the_draw_for_all():
    for shape in (2, (2,), (2, 3)):
        rest = shape[1:] if isinstance(shape, tuple) else ()
        for draw in ("random", "standard_normal"):
            whole = getattr(np.random.default_rng(1), draw)((6, *rest))
            own = getattr(OwnRows(np.random.default_rng(1), range(2, 4), 6), draw)(shape)
            np.testing.assert_array_equal(own, whole[2:4])


def test_episodes_of_all_ranks_are_in_the_order_of_one_process():
    def report(ranks):
        ends = [[0, 2, 2], [1, 2]][ranks.rank]
        episodes = [Episode(float(10 * ranks.rank + n), 1) for n in range(len(ends))]
        infos = [{"is_success": episode.episodic_return} for episode in episodes]
        own = RolloutReport(filled=3, steps=6, episodes=episodes, ends=ends, infos=infos, time=ranks.rank)
        return own.of_all(ranks)

    for rank, whole in enumerate(together(2, report)):
        assert [episode.episodic_return for episode in whole.episodes] == [0, 10, 1, 2, 11]
        assert [info["is_success"] for info in whole.infos] == [0, 10, 1, 2, 11]
        assert (whole.filled, whole.steps, whole.ends, whole.time) == (3, 12, [0, 1, 2, 2, 2], rank)


def test_threads_are_those_of_this_rank():
    ranks = ThreadRanks(0, 2, [], None)
    ranks.cores = 3
    assert threads(PPOConfig(), ranks) == 3
    assert threads(PPOConfig(threads=5), ranks) == 5
    assert threads(PPOConfig()) == ALONE.cores
