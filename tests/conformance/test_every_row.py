"""Every row of several rollouts against the oracle, for every way to vectorise, to reset and to end an episode."""

from functools import partial

import numpy as np
import pytest
from episodes import ENDS, EVERY_WAY, IN_PROCESS, IN_WORKERS, LENGTHS, MODES, Reusing, make, scripts_of, sent_to
from oracle import GAMMA, check_rollout, check_sent, timeline
from rig import Rig

from ppo_np.config import PPOConfig
from ppo_np.environments.make import make_vector_env

ROLLOUTS, STEPS = 4, 5


def check(envs, scripts, num_steps=STEPS):
    with Rig(envs, num_steps) as rig:
        count, next_step = ROLLOUTS * num_steps, envs.metadata["autoreset_mode"] == MODES["next"]
        timelines = [timeline(script, n, count, next_step) for n, script in enumerate(scripts)]
        choices = np.zeros((0, len(scripts)), int)
        for rollout in range(ROLLOUTS):
            report = rig.collect()
            choices = np.concatenate([choices, rig.buffer.actions])
            check_rollout(rig.buffer, report, timelines, choices.T, rollout * num_steps)
        assert len(np.unique(choices)) > 1
        check_sent(sent_to(rig.envs), timelines, choices.T)


@pytest.mark.parametrize("way", IN_PROCESS)
@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("lengths", LENGTHS)
def test_every_row_is_as_predicted(lengths, ends, way):
    scripts = scripts_of(lengths, ends)
    check(make(way, scripts), scripts)


@pytest.mark.parametrize("way", IN_WORKERS)
@pytest.mark.parametrize("lengths", LENGTHS)
def test_every_row_is_as_predicted_in_workers(lengths, way):
    scripts = scripts_of(lengths, "mixed")
    check(make(way, scripts), scripts)


@pytest.mark.parametrize("way", ["async-same", "async-next"])
def test_every_row_is_as_predicted_in_the_async_vector_env_of_gymnasium(way):
    scripts = scripts_of("not aligned", "mixed")
    check(make(way, scripts), scripts)


@pytest.mark.parametrize("way", IN_PROCESS)
@pytest.mark.parametrize("lengths", LENGTHS)
def test_rollouts_of_a_single_step(lengths, way):
    scripts = scripts_of(lengths, "mixed")
    check(make(way, scripts), scripts, num_steps=1)


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_environments_that_overwrite_the_array_they_gave(vectorization):
    """The reset must not reach the final observation that was handed out before."""
    scripts = (((2, "t"), (3, "t"), (1, "t")),)
    config = PPOConfig(num_envs=1, num_steps=STEPS, num_minibatches=1, vectorization=vectorization)
    check(make_vector_env(config, partial(Reusing, scripts[0], 0)), scripts)


@pytest.mark.parametrize("way", EVERY_WAY)
def test_exact_values_under_a_time_limit_give_no_advantage(way):
    """Reward 1 for ever and V = 1 / (1 - gamma): truncations must not show, in any mode."""
    scripts = scripts_of("two in a row", "truncation")
    with Rig(make(way, scripts, reward=lambda episode, step, choice: 1.0), 23, weights=0, bias=1 / (1 - GAMMA)) as rig:
        for _rollout in range(3):
            rig.collect()
            valid = rig.buffer.valid
            assert (rig.buffer.truncations.sum(axis=0) > 5).all()
            assert valid.all() == way.endswith("same")
            np.testing.assert_allclose(rig.buffer.advantages[valid], 0, atol=1e-5)
