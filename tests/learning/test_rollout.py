"""The rollout buffer, predicted row by row on a counting environment whose value function is known."""

import gymnasium
import numpy as np
import pytest
import sample_environments
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from ppo_np import PPO
from ppo_np.config import PPOConfig
from ppo_np.environments.observed import Observed
from ppo_np.environments.serial import SerialEnvs
from ppo_np.environments.stream import EnvStream
from ppo_np.errors import EnvironmentFault
from ppo_np.learning.minibatches import MinibatchSlice
from ppo_np.learning.policy import Policy
from ppo_np.learning.rollout import RolloutBuffer, collect, flatten_obs

GAMMA, LAMBDA = 0.9, 0.8


class Setup:
    """Counting environments and a linear network with V(episode, step) = 10 episode + step + 0.5."""

    def __init__(self, steps, num_envs=2, **kwargs):
        factories = [lambda: sample_environments.Counting(**kwargs)] * num_envs
        envs = SyncVectorEnv(factories, autoreset_mode=AutoresetMode.SAME_STEP)
        config = PPOConfig(shared_sizes=())
        self.policy = Policy(envs.single_observation_space, envs.single_action_space, config, np.random.default_rng(0))
        tensors = self.policy.model.named(self.policy.model.params)
        tensors["value/head/weight"][:] = [[10], [1]]
        tensors["value/head/bias"][:] = 0.5
        self.stream = EnvStream(envs).reset(seed=0)
        self.workspace = self.policy.workspace(num_envs)
        self.buffer = RolloutBuffer(steps, num_envs, self.policy)
        self.rng = np.random.default_rng(1)

    def collect(self, stopped=lambda: False):
        report = collect(self.stream, self.policy, self.workspace, self.buffer, self.rng, stopped)
        self.buffer.compute_advantages(GAMMA, LAMBDA)
        return report


class Lists(sample_environments.Counting):
    """Its observations are lists."""

    def _obs(self):
        return super()._obs().tolist()


def test_observations_that_are_lists():
    """Also the last ones of episodes that are truncated."""
    settings = {"num_envs": 2, "num_steps": 8, "num_minibatches": 1, "total_timesteps": 32, "shared_sizes": ()}
    ours, theirs = (PPO(PPOConfig(**settings), env).learn() for env in (Lists, sample_environments.Counting))
    assert ours._buffer.truncations.any()
    assert np.array_equal(ours._buffer.final_values, theirs._buffer.final_values)
    assert np.array_equal(ours.policy.model.params, theirs.policy.model.params)


def value(obs):
    return 10 * obs[..., 0] + obs[..., 1] + 0.5


@pytest.mark.parametrize("ends", [("T",), ("t",), ("Tt",), ("T", "t"), ("t", "Tt", "T")], ids="-".join)
@pytest.mark.parametrize("lengths", [(1,), (2,), (3, 4), (1, 5), (100,)], ids=str)
def test_every_row_is_as_predicted(lengths, ends):
    setup = Setup(steps=6, lengths=lengths, ends=ends, start=5)
    episode = count = 0
    for _rollout in range(3):
        setup.collect()
        buffer = setup.buffer
        for t in range(6):
            assert np.array_equal(buffer.obs[t], [[episode, count]] * 2)
            count += 1
            done = count == lengths[episode % len(lengths)]
            end = ends[episode % len(ends)] if done else ""
            assert (buffer.terminations[t] == ("T" in end)).all()
            assert (buffer.truncations[t] == ("t" in end)).all()
            if end == "t":
                assert np.allclose(buffer.final_values[t], 10 * episode + count + 0.5)
            if done:
                episode, count = episode + 1, 0
        assert np.allclose(buffer.values[:-1], value(buffer.obs))
        assert np.allclose(buffer.values[-1], 10 * episode + count + 0.5)
        assert np.array_equal(buffer.rewards, 1 + buffer.actions)
    sent = np.array(setup.stream.envs.envs[0].actions)
    assert set(sent) == {5, 6}
    assert np.array_equal(sent[-6:] - 5, buffer.actions[:, 0])


def test_log_probabilities_are_those_of_the_actions_taken():
    setup = Setup(steps=30)
    setup.policy.model.named(setup.policy.model.params)["policy/head/bias"][:] = [0.0, np.log(3.0)]
    setup.policy.model.named(setup.policy.model.params)["policy/head/weight"][:] = 0
    setup.collect()
    assert np.allclose(setup.buffer.logprobs, np.where(setup.buffer.actions == 1, np.log(0.75), np.log(0.25)))


def test_exact_values_under_a_time_limit_give_no_advantage():
    """Reward 1 for ever and V = 1 / (1 - gamma): only the bootstrap from the final observation keeps A at 0."""
    setup = Setup(steps=20, lengths=(7, 3), ends=("t",))
    tensors = setup.policy.model.named(setup.policy.model.params)
    tensors["value/head/weight"][:], tensors["value/head/bias"][:] = 0, 1 / (1 - GAMMA)
    tensors["policy/head/weight"][:], tensors["policy/head/bias"][:] = 0, [50, -50]
    setup.collect()
    assert (setup.buffer.rewards == 1).all()
    assert setup.buffer.truncations.any()
    np.testing.assert_allclose(setup.buffer.advantages, 0, atol=1e-5)


def test_a_stopped_rollout_reports_the_steps_done():
    setup = Setup(steps=6)
    asked = iter([False, False, True])
    assert setup.collect(stopped=lambda: next(asked)).steps == 2 * 2


def test_report():
    report = Setup(steps=7, lengths=(3, 4)).collect()
    assert report.steps == 14
    assert [episode.episodic_length for episode in report.episodes] == [3, 3, 4, 4]
    assert report.time_env > 0
    assert report.time_inference > 0


class Observing(gymnasium.Env):
    """Random observations of a space."""

    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, space):
        self.observation_space = space

    def reset(self, *, seed=None, options=None):
        return self.observation_space.sample(), {}


BOXES = {
    "one number": gymnasium.spaces.Box(-1, 1, ()),
    "numbers": gymnasium.spaces.Box(-1, 1, (2, 3)),
    "in double precision": gymnasium.spaces.Box(-1, 1, (4,), np.float64),
    "integers": gymnasium.spaces.Box(-9, 9, (4,), np.int64),
    "bytes": gymnasium.spaces.Box(0, 9, (4,), np.uint8),
    "an image": gymnasium.spaces.Box(0, 255, (2, 2, 3), np.uint8),
}


@pytest.mark.parametrize("norm_obs", [False, True])
@pytest.mark.parametrize("space", BOXES.values(), ids=BOXES)
def test_observations_of_our_environments_are_copied_as_those_of_others_are_flattened(space, norm_obs):
    envs = SerialEnvs([lambda: Observing(space)] * 3)
    config = PPOConfig(norm_obs=norm_obs, shared_sizes=(8,))
    policy = Policy(space, envs.single_action_space, config, np.random.default_rng(0))
    stream = EnvStream(envs).reset(seed=0)
    copied, flattened = np.zeros((2, 3, policy.observations.size), policy.obs_dtype)
    flatten_obs(stream, policy, copied)
    assert stream.checked
    stream.checked = False
    flatten_obs(stream, policy, flattened)
    np.testing.assert_array_equal(copied, flattened)
    assert copied.any()


def test_gather_copies_the_same_row_of_everything():
    policy = Setup(steps=1).policy
    buffer = RolloutBuffer(4, 3, policy)
    flat = np.arange(12)
    buffer.obs.reshape(12, 2)[:] = np.stack([flat, -flat], axis=1)
    for scale, name in enumerate(("actions", "logprobs", "advantages", "returns"), start=1):
        getattr(buffer, name).reshape(-1)[:] = flat * 10**scale
    buffer.values[:-1].reshape(-1)[:] = flat * 0.5
    buffer.values[-1] = 99
    minibatch = policy.model.minibatch(5)
    indices = np.array([11, 0, 7, 3, 3])
    buffer.gather(indices, policy, minibatch)
    assert np.array_equal(minibatch.obs, np.stack([indices, -indices], axis=1))
    assert np.array_equal(minibatch.actions, 10 * indices)
    assert np.array_equal(minibatch.old_logprobs, 100 * indices)
    assert np.array_equal(minibatch.old_values, 0.5 * indices)
    assert np.array_equal(minibatch.advantages, 1000 * indices)
    assert np.array_equal(minibatch.returns, 10_000 * indices)


def test_minibatches_of_changing_sizes_share_memory_and_hold_their_own_rows():
    policy = Setup(steps=1).policy
    buffer = RolloutBuffer(4, 3, policy)
    buffer.obs[:] = np.random.default_rng(0).standard_normal(buffer.obs.shape)
    buffer.returns[:] = np.arange(12).reshape(4, 3)
    largest = None
    for rows in (5, 7, 4, 7, 9, 5, 0):
        part = MinibatchSlice(np.arange(12)[::-1][:rows], 20 + rows, 1, 1)
        minibatch, expected = buffer.minibatch(part, policy), policy.model.minibatch(rows)
        buffer.gather(part.indices, policy, expected)
        assert (minibatch.rows, minibatch.total) == (rows, 20 + rows)
        np.testing.assert_array_equal(minibatch.obs, expected.obs)
        np.testing.assert_array_equal(minibatch.loss_inputs, expected.loss_inputs)
        largest = minibatch if rows in (7, 9) else largest
        assert largest is None or rows == 0 or np.shares_memory(minibatch.obs, largest.obs)
    assert np.array_equal(largest.returns, np.arange(12)[::-1][:9])


def test_explained_variance():
    buffer = RolloutBuffer(5, 1, Setup(steps=1).policy)
    assert np.isnan(buffer.explained_variance())
    buffer.returns[:, 0] = [1, 2, 3, 4, 1000]
    assert np.isnan(buffer.explained_variance())
    buffer.valid[:, 0] = [True, True, True, True, False]
    assert buffer.explained_variance() == 0
    buffer.values[:-1] = buffer.returns
    assert buffer.explained_variance() == 1
    buffer.values[:-1] = -buffer.returns
    assert buffer.explained_variance() == -3


class Nested(sample_environments.Counting):
    """Observations as a Dict of the episode and the step."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        part = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self.observation_space = gymnasium.spaces.Dict({"episode": part, "step": part})

    def _obs(self):
        return dict(zip(("episode", "step"), super()._obs().reshape(2, 1), strict=True))


class BatchedFinals(gymnasium.vector.VectorWrapper):
    """Gives final observations as native vector environments may: batched like any observations."""

    def step(self, actions):
        *rest, infos = super().step(actions)
        if "final_obs" in infos:
            some = next(obs for obs in infos["final_obs"] if obs is not None)
            whole = [obs or {key: np.full(1, np.nan, np.float32) for key in some} for obs in infos["final_obs"]]
            infos["final_obs"] = {key: np.stack([obs[key] for obs in whole]) for key in some}
        return *rest, infos


@pytest.mark.parametrize("batched", [False, True])
def test_final_observations_of_nested_spaces(batched):
    setup = Setup(steps=8)
    scripts = ({"lengths": (2, 3), "ends": ("t",)}, {"lengths": (5,), "ends": ("t", "T")})
    envs = SyncVectorEnv([lambda script=s: Nested(**script) for s in scripts], autoreset_mode=AutoresetMode.SAME_STEP)
    setup.stream = EnvStream(BatchedFinals(envs) if batched else envs).reset(seed=0)
    adapter = Policy(envs.single_observation_space, envs.single_action_space, PPOConfig(shared_sizes=()), setup.rng)
    setup.policy.observations = adapter.observations
    setup.collect()
    assert setup.buffer.truncations.T.nonzero()[1].tolist() == [1, 4, 6, 4]
    assert setup.buffer.final_values.T[setup.buffer.truncations.T].tolist() == [2.5, 13.5, 22.5, 5.5]


def test_observations_that_do_not_fit_are_a_fault(monkeypatch):
    setup = Setup(steps=3)
    for wrong in (np.zeros((2, 3), np.float32), np.zeros((4, 1), np.float32), np.zeros(4, np.float32), {"a": 1}):
        setup.stream.observed = Observed(wrong)
        with pytest.raises(EnvironmentFault, match="^In step 0, the environments gave observations that do not fit"):
            setup.collect()


class Rememberer(sample_environments.Counting):
    """Keeps the action it is given, as an environment with a penalty on changes does."""

    def __init__(self, space):
        super().__init__(lengths=(1000,))
        self.action_space, self.kept = space, []

    def step(self, action):
        self.kept.append(action)
        self.count += 1
        return self._obs(), 0.0, False, False, {}


@pytest.mark.parametrize(
    "space",
    [
        gymnasium.spaces.Discrete(5), gymnasium.spaces.MultiDiscrete([5, 5]), gymnasium.spaces.MultiBinary(6),
        gymnasium.spaces.Box(-9, 9, (2,)),
    ],
)  # fmt: skip
def test_actions_given_to_environments_do_not_change_afterwards(space):
    envs = SyncVectorEnv([lambda: Rememberer(space)] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    policy = Policy(envs.single_observation_space, space, PPOConfig(shared_sizes=()), np.random.default_rng(0))
    buffer = RolloutBuffer(20, 2, policy)
    collect(EnvStream(envs).reset(0), policy, policy.workspace(2), buffer, np.random.default_rng(1), lambda: False)
    assert len({str(action) for action in envs.envs[0].kept}) > 1
    for n in range(2):
        np.testing.assert_array_equal(np.array(envs.envs[n].kept), buffer.actions[:, n])
