"""Every row of several rollouts against the oracle, for every way to vectorise, to reset and to end an episode."""

from copy import copy
from functools import partial

import numpy as np
import oracle
import pytest
from episodes import (
    ENDS,
    EVERY_WAY,
    IN_PROCESS,
    IN_WORKERS,
    LENGTHS,
    MODES,
    Reusing,
    Scripted,
    make,
    scripts_of,
    sent_to,
)
from gymnasium.vector import SyncVectorEnv
from oracle import GAMMA, VALUE_BIAS, VALUE_WEIGHTS, check_rollout, check_sent, timeline
from rig import Rig

from ppo_np.config import PPOConfig
from ppo_np.environments.make import make_env, make_vector_env
from ppo_np.environments.workers import WorkerEnvs

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


FRAMES = 3
STACK_WEIGHTS = (0, 0, 100, 2, 0, 20, *VALUE_WEIGHTS)


def frames(obs):
    """The last three observations of an episode, the oldest first; before its first one, that one."""
    index, episode, step = obs
    return np.array([(index, episode, max(step - back, 0)) for back in (2, 1, 0)])


@pytest.mark.parametrize("way", ["sync-same", "sync-next", "workers-same", "workers-next"])
@pytest.mark.parametrize("kind", [Scripted, Reusing])
def test_every_row_of_stacked_frames_is_as_predicted(kind, way, monkeypatch):
    """At the start of episodes, in reset rows, and in final observations, whose value depends on all frames."""
    monkeypatch.setattr(oracle, "value", lambda obs: float(np.dot(STACK_WEIGHTS, frames(obs).reshape(-1))) + VALUE_BIAS)
    scripts = scripts_of("two in a row", "mixed")
    config = PPOConfig(frame_stack=FRAMES)
    factories = [partial(make_env, config, factory=partial(kind, script, n)) for n, script in enumerate(scripts)]
    name, mode = way.split("-")
    vector = {"sync": partial(SyncVectorEnv, copy=False), "workers": partial(WorkerEnvs, timeout=60)}[name]
    with Rig(vector(factories, autoreset_mode=MODES[mode]), STEPS, STACK_WEIGHTS) as rig:
        count = ROLLOUTS * STEPS
        timelines = [timeline(script, n, count, mode == "next") for n, script in enumerate(scripts)]
        choices = np.zeros((0, len(scripts)), int)
        for rollout in range(ROLLOUTS):
            report = rig.collect()
            choices = np.concatenate([choices, rig.buffer.actions])
            last = copy(rig.buffer)
            last.obs = rig.buffer.obs[..., -3:]
            check_rollout(last, report, timelines, choices.T, rollout * STEPS)
            for (t, n), _ in np.ndenumerate(rig.buffer.rewards):
                row = timelines[n][rollout * STEPS + t]
                assert rig.buffer.obs[t, n].tolist() == frames(row.obs).reshape(-1).tolist()
        check_sent(sent_to(rig.envs), timelines, choices.T)


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_every_stacked_row_is_the_same_in_the_vectors_that_are_made_here(vectorization):
    scripts = scripts_of("two in a row", "mixed")
    config = PPOConfig(num_envs=1, num_steps=STEPS, num_minibatches=1, vectorization=vectorization, frame_stack=FRAMES)
    with Rig(make_vector_env(config, partial(Reusing, scripts[0], 0)), 20, STACK_WEIGHTS) as rig:
        rig.collect()
        rows = timeline(scripts[0], 0, 20, next_step=False)
        assert rig.buffer.obs[:, 0].tolist() == [frames(row.obs).reshape(-1).tolist() for row in rows[:20]]
        for t, row in enumerate(rows[:20]):
            if row.truncated and not row.terminated:
                expected = np.dot(STACK_WEIGHTS, frames(row.successor).reshape(-1)) + VALUE_BIAS
                assert rig.buffer.final_values[t, 0] == expected


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
