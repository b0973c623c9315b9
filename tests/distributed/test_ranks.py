"""Several ranks do what one does. Here they are threads; test_mpi.py does the same with processes of MPI."""

from copy import deepcopy
from itertools import chain
from unittest import mock

import numpy as np
import pytest
from gymnasium.vector import VectorEnv
from small_runs import RUNS, UPDATES, conditions, difference, discrete, train
from thread_ranks import together

from ppo_np import PPO, DivergedError, PPOConfig, UserError
from ppo_np.distributed.ranks import ALONE, OwnRows
from ppo_np.errors import RanksError
from ppo_np.learning.minibatches import MinibatchSampler
from ppo_np.learning.normalizer import RunningMoments
from ppo_np.learning.rollout import RolloutBuffer, RolloutReport
from ppo_np.network.summed_gradient import SummedGradient

TOLERANCE = 1e-12
OTHERWISE = 1e-6  # what a planted bug exceeds by far
SMALL = {"num_envs": 4, "num_steps": 8, "shared_sizes": (4,), "total_timesteps": 64, "num_minibatches": 2}


def differences(name, size, dtype=np.float64):
    """Of each part of the result, between one process and so many ranks."""
    with conditions(name, dtype):
        alone, ranks = train(name), together(size, lambda ranks: train(name, ranks))
    for other in ranks[1:]:
        np.testing.assert_array_equal(other["params"], ranks[0]["params"])
    return {part: difference(ranks[0][part], alone[part]) for part in alone}


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("size", [2, 4])
def test_ranks_do_what_one_process_does(name, size):
    assert max(differences(name, size).values()) < TOLERANCE


def test_in_single_precision():
    assert differences("Discrete, shared, normalised", 2, np.float32)["params"] < 1e-5


def local_moments(self, advantages, counts, sizes):
    minibatch = np.repeat(np.arange(len(sizes)), counts)
    means = np.bincount(minibatch, advantages, len(sizes)) / np.maximum(counts, 1)
    return [(mean, 1 / (advantages - means[minibatch]).std()) for mean in means]


def equal_shares(self, minibatch, config):
    with mock.patch.object(minibatch, "total", minibatch.rows * self._ranks.size):
        return original(self, minibatch, config)


original = SummedGradient.loss_and_gradient
PLANTED = {
    "each normalises its own advantages": mock.patch.object(MinibatchSampler, "_advantage_moments", local_moments),
    "ranks count alike, however many rows they have": mock.patch.object(
        SummedGradient, "loss_and_gradient", equal_shares
    ),
    "all draw the first rank's actions": mock.patch.object(
        OwnRows, "_rows", lambda self, draw, _: draw(self._num_envs)[: len(range(self._own.start, self._own.stop))]
    ),
    "statistics of rank 0 alone": mock.patch.object(
        RunningMoments, "update",
        lambda self, rows, valid, ranks=ALONE: [
            np.copyto(mine, his)
            for mine, his in zip(self.arrays().values(), ranks.allgather(updated(self, rows, valid))[0], strict=True)
        ],
    ),
    "episodes as the ranks come": mock.patch.object(
        RolloutReport, "of_all", lambda self, ranks: RolloutReport(
            self.filled, sum(ranks.allgather(self.steps)), list(chain(*ranks.allgather(self.episodes))), self.ends
        ),
    ),
    "the moments of each rank's own returns": mock.patch.object(
        RolloutBuffer, "explained_variance", lambda self, _, own=RolloutBuffer.explained_variance: own(self)
    ),
}  # fmt: skip


def updated(moments, rows, valid):
    """What the moments would be after an update by the own rows."""
    copy = deepcopy(moments)
    update(copy, rows, valid)
    return tuple(copy.arrays().values())


update = RunningMoments.update


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_seen(bug):
    with PLANTED[bug]:
        assert max(differences("Discrete, shared, normalised", 2).values()) > OTHERWISE


def test_one_sum_a_minibatch_and_two_an_update():
    def count(ranks):
        result = train("Discrete, separate", ranks)
        return ranks.sums, int(result["adam_step"][0])

    with conditions("Discrete, separate", np.float32):
        sums, minibatches = together(2, count)[0]
    assert sums == minibatches + 2 * UPDATES


def test_ranks_have_different_episodes():
    """Otherwise the comparison above would leave something out."""
    with (
        conditions("Discrete, separate", np.float32),
        mock.patch.object(RolloutReport, "of_all", lambda self, ranks: counts.append(len(self.episodes)) or self),
    ):
        counts = []
        together(2, lambda ranks: train("Discrete, separate", ranks))
    assert len(set(counts)) > 1


def test_parameters_that_differ_are_noticed():
    def learn(ranks):
        ppo = PPO(PPOConfig(**SMALL), discrete, ranks=ranks)
        if ranks.rank == 1:
            ppo.policy.model.params[-1] += np.float32(1e-7)
        ppo.learn()

    with conditions("Discrete, separate", np.float32), pytest.raises(RanksError) as caught:
        together(2, learn)
    assert str(caught.value).startswith("After update 1, the parameters of rank 1 are not those of rank 0: ")


@pytest.mark.parametrize("name", ["returns", "logprobs"])
def test_a_number_that_is_not_finite_on_one_rank_ends_all_in_the_same_words(name):
    """The rows of all ranks are in the crash file: it can be computed again by one."""
    compute = RolloutBuffer.compute_advantages

    def learn(ranks):
        ppo = PPO(PPOConfig(**SMALL), discrete, ranks=ranks)

        def spoilt(*arguments):
            compute(ppo._buffer, *arguments)
            if ranks.rank == 1:
                getattr(ppo._buffer, name)[3, 1] = np.nan

        ppo._buffer.compute_advantages = spoilt
        with pytest.raises(DivergedError) as caught:
            ppo.learn()
        ppo.close()
        return caught.value

    what = {"logprobs": "old_logprobs"}.get(name, name)
    with conditions("Discrete, separate", np.float32):
        one, other = together(2, learn)
    assert str(one) == str(other)
    assert str(one).startswith("In update 1, epoch 1, minibatch ") and f", {what} at [" in str(one)
    assert len(one.crash.arrays[what]) == 16 and np.isnan(one.crash.arrays[what]).sum() == 1


def test_environments_that_cannot_be_shared_evenly():
    with pytest.raises(UserError, match="^num_envs is 4, but it must be a multiple of the 3 ranks that share the env"):
        together(3, lambda ranks: PPO(PPOConfig(**SMALL), discrete, ranks=ranks))


def test_a_ready_vector_env_cannot_be_shared():
    env = mock.MagicMock(spec=VectorEnv)
    with pytest.raises(UserError, match="^env is a VectorEnv, but several ranks need an id or a function"):
        together(2, lambda ranks: PPO(PPOConfig(**SMALL), env, ranks=ranks))


def test_a_stop_on_one_rank_stops_all_after_the_update():
    def learn(ranks):
        ppo = PPO(PPOConfig(**SMALL | {"total_timesteps": 32 * 9}), discrete, ranks=ranks)

        def stop(ppo, metrics):
            if metrics.update == 3 and ranks.rank == 1:
                ppo.stop()

        ppo.learn(stop)
        stopped_at = ppo.update
        ppo.learn()
        return stopped_at, ppo.update

    with conditions("Discrete, separate", np.float32):
        assert together(2, learn) == [(3, 9), (3, 9)]


def test_indices_of_environments_count_all_ranks():
    def rewards(ranks):
        ppo = PPO(PPOConfig(**SMALL), discrete, ranks=ranks)
        return [env.index for env in ppo.envs.envs], ppo.own_envs

    with conditions("Discrete, separate", np.float32):
        assert together(2, rewards) == [([0, 1], range(2)), ([2, 3], range(2, 4))]
