"""Runs with other distributions over a Box: what is stored, what the environment receives, resume, crash files."""

from dataclasses import replace
from functools import partial

import gymnasium
import numpy as np
import pytest
from commands import run
from conftest import needs_jit
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from masked_runs import learned

from ppo_np import PPO, PPOConfig, evaluate, train
from ppo_np.checking.crash_replay import recompute
from ppo_np.errors import DivergedError
from ppo_np.learning.minibatches import MinibatchSlice
from ppo_np.learning.rollout import RolloutBuffer
from ppo_np.network import continuous
from ppo_np.network.tensor_trace import first_bad
from ppo_np.running import cli
from ppo_np.saving.crash_file import read_crash, write_crash


class Target(gymnasium.Env):
    """The observation is a number in [0, 1], the right action its place in the Box; an episode has three steps."""

    def __init__(self, low=(0.0, -3.0), high=(1000.0, 3.0)):
        self.observation_space = spaces.Box(0, 1, (1,), np.float32)
        self.action_space = spaces.Box(np.float32(low), np.float32(high))

    def _shown(self):
        self.goal = self.np_random.random(1).astype(np.float32)
        return self.goal

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 3
        return self._shown(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        low, high = self.action_space.low, self.action_space.high
        reward = -float(np.abs((action - low) / (high - low) - self.goal).mean())
        self.left -= 1
        return self._shown(), reward, self.left == 0, False, {}


if "ppo_np_test/Target-v0" not in gymnasium.registry:
    gymnasium.register("ppo_np_test/Target-v0", Target)
CONFIG = PPOConfig(
    env_id="ppo_np_test/Target-v0", num_envs=4, num_steps=16, num_minibatches=2, update_epochs=2, total_timesteps=256,
    learning_rate=0.01, shared_sizes=(8,), ent_coef=0.01,
)  # fmt: skip
KINDS = {
    "gaussian, state": {"log_std": "state"},
    "squashed": {"action_distribution": "squashed"},
    "squashed, state": {"action_distribution": "squashed", "log_std": "state"},
    "beta": {"action_distribution": "beta"},
}
every_kind = pytest.mark.parametrize("kind", KINDS)
pytestmark = pytest.mark.filterwarnings("ignore:The action space is .* far:RuntimeWarning")


def of(kind, **settings):
    return replace(CONFIG, **KINDS[kind], **settings)


@every_kind
def test_before_the_first_step_the_ratio_is_1(kind):
    """What the rollout stores makes the update's log-probabilities those of the rollout."""
    ppo = PPO(of(kind, num_steps=64))
    ppo._collect(ppo.config)
    minibatch = ppo._buffer.minibatch(MinibatchSlice(np.arange(256), 256, 1, 1), ppo.policy)
    activations = ppo.policy.model.activations(256)
    ppo.policy.model.loss(minibatch, activations, ppo.config)
    ppo.close()
    np.testing.assert_allclose(activations.distribution.logprobs, minibatch.old_logprobs, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("kind", ["squashed", "beta"])
def test_sync_async_and_vector_environments_are_the_same_run(kind):
    config = of(kind)
    expected, _ = learned(config)
    np.testing.assert_array_equal(learned(replace(config, vectorization="async"))[0], expected)
    vector = SyncVectorEnv([Target] * 4, autoreset_mode=AutoresetMode.SAME_STEP)
    np.testing.assert_array_equal(learned(config, vector)[0], expected)


@every_kind
def test_a_run_that_is_loaded_goes_on_bit_for_bit(tmp_path, kind):
    whole, _ = learned(of(kind))
    ppo = PPO(of(kind))
    ppo.learn(lambda ppo, _: ppo.stop() if ppo.update == 2 else None)
    ppo.save(tmp_path / "checkpoint.h5")
    ppo.close()
    again = PPO.load(tmp_path / "checkpoint.h5").learn()
    again.close()
    np.testing.assert_array_equal(np.stack([again.policy.model.params, again.state.optimizer.m]), whole)


@every_kind
def test_a_crash_file_is_computed_again(tmp_path, monkeypatch, kind):
    gather, calls = RolloutBuffer.gather, []

    def spoiled(buffer, indices, policy, minibatch):
        gather(buffer, indices, policy, minibatch)
        calls.append(minibatch)
        if len(calls) >= 2:
            minibatch.actions[3, 1] = np.nan

    monkeypatch.setattr(RolloutBuffer, "gather", spoiled)
    with pytest.raises(DivergedError) as caught:
        learned(of(kind))
    write_crash(tmp_path / "crash.h5", caught.value.crash)
    crash = read_crash(tmp_path / "crash.h5")
    assert crash.head == caught.value.crash.head
    assert str(first_bad(iter(recompute(crash)))) == "actions at [3, 1] is nan"


KERNELS = {
    "gaussian, state": "state_gaussian_backward", "squashed": "squashed_backward", "beta": "beta_backward",
}  # fmt: skip


@pytest.mark.parametrize("kind", KERNELS)
def test_a_gradient_that_is_not_finite_ends_the_run(monkeypatch, kind):
    backward = getattr(continuous, KERNELS[kind])

    def spoiled(*arguments):
        backward(*arguments)
        arguments[-1][1, 1] = np.nan

    monkeypatch.setattr(continuous, KERNELS[kind], spoiled)
    name = r"gradient of log_std" if kind == "squashed" else r"gradient with respect to policy_outputs at \[1"
    with pytest.raises(DivergedError, match=name):
        learned(of(kind))


@every_kind
def test_the_environment_receives_the_action_in_its_box(kind):
    ppo = PPO(of(kind))
    obs = np.linspace(0, 1, 5, dtype=np.float32).reshape(5, 1)
    for deterministic in (True, False):
        actions = ppo.predict(obs, deterministic=deterministic)
        assert actions.shape == (5, 2)
        assert actions.dtype == np.float32
        assert all(map(ppo.policy.actions.space.contains, actions))
    ppo.policy.model.named(ppo.policy.model.params)["policy/head/bias"][:] = 40
    deterministic = ppo.predict(obs[0])
    if kind != "beta":
        np.testing.assert_array_equal(deterministic, [40 if kind == "gaussian, state" else 1000, 3])
    ppo.close()


def test_evaluation_and_films_by_the_commands(tmp_path, capsys):
    flags = ["--preset", "article", "--env-id", "Pendulum-v1", "--shared-sizes", 8, "--num-steps", 16]
    flags += ["--total-timesteps", 64, "--action-distribution", "beta", "--eval-every", 1, "--eval-episodes", 1]
    assert run(train.main, *flags, "--run-dir", tmp_path / "run") == cli.DONE
    film = tmp_path / "film.mp4"
    assert run(evaluate.main, tmp_path / "run", "--episodes", 1, "--max-episode-steps", 5, "--video", film) == cli.DONE
    assert film.exists()
    capsys.readouterr()


@needs_jit  # without it, it takes a minute
@pytest.mark.parametrize("kind", ["squashed", "beta"])
def test_a_box_far_from_zero_is_learned(kind):
    """At random, the mean reward is about -1/3; the middle of the Box gives -1/4."""
    config = of(kind, shared_sizes=(32,), activation="tanh", num_envs=16, num_steps=32, update_epochs=8, gamma=0.0)
    ppo = PPO(replace(config, total_timesteps=5120), partial(Target, (0, 5), (1000, 5.01))).learn()
    ppo.close()
    assert np.mean([episode.episodic_return for episode in ppo.recent_episodes]) / 3 > -0.15
