"""Many steps of compiled environments in one kernel call: the run is that of single steps, bit for bit.

`NUMBA_DISABLE_JIT=1 pytest tests/environments/test_compiled_rollout.py` compares both without the compiler.
"""

import threading

import numpy as np
import pytest
from compiled_models import Drift, Tilt, in_python
from gymnasium import spaces

from kernels._jit import COMPILED
from ppo_np import PPO, DivergedError, EnvironmentFault, PPOConfig
from ppo_np.distributed.ranks import OwnRows
from ppo_np.environments.compiled_envs import CompiledVectorEnv
from ppo_np.environments.compiled_stream import CompiledStream
from ppo_np.environments.rollout_kernel import SAMPLERS, rollout_kernel
from ppo_np.environments.stream import EnvStream
from ppo_np.learning import compiled_rollout
from ppo_np.learning.acting import RolloutValues
from ppo_np.learning.compiled_rollout import CompiledSteps
from ppo_np.learning.policy import Policy
from ppo_np.learning.rollout import RolloutBuffer, RolloutReport, collect
from ppo_np.network.action_head import DISTRIBUTIONS

ARRAYS = (
    "obs", "actions", "logprobs", "values", "final_values", "rewards", "terminations", "truncations", "valid",
    "advantages", "returns",
)  # fmt: skip
SETTINGS = {"num_envs": 5, "num_steps": 9, "num_minibatches": 3, "update_epochs": 2, "shared_sizes": (8,), "seed": 3}


@pytest.fixture
def plain(monkeypatch):
    with in_python(monkeypatch):
        yield


@pytest.fixture
def step_by_step(monkeypatch):
    """A function that makes a PPO whose environments are stepped one step at a time."""

    def make(config, env):
        ppo = PPO(config, env)
        ppo.stream.__class__ = EnvStream
        return ppo

    return make


def config(updates=3, **settings):
    rows = SETTINGS["num_envs"] * SETTINGS["num_steps"]
    return PPOConfig(**SETTINGS | {"total_timesteps": rows * updates} | settings)


def assert_same(one, other):
    assert np.array_equal(one.policy.model.params, other.policy.model.params)
    for name in ARRAYS:
        assert np.array_equal(getattr(one._buffer, name), getattr(other._buffer, name)), name
    assert one.recent_episodes == other.recent_episodes
    assert one.state.rng_states() == other.state.rng_states()
    assert (one.stream.steps, one.global_step) == (other.stream.steps, other.global_step)
    assert np.array_equal(one.stream.observed.obs, other.stream.observed.obs)
    assert all(map(np.array_equal, one.envs.snapshot(), other.envs.snapshot()))


def check_run(step_by_step, env, **settings):
    """Train both ways and compare; returns the PPO."""
    ours = PPO(config(**settings), env)
    assert CompiledSteps.of(ours.stream, ours.policy, ours._workspace, ours._buffer)
    theirs = step_by_step(ours.config, env)
    assert_same(ours.learn(), theirs.learn())
    assert len(ours.recent_episodes) > 10
    return ours


@pytest.mark.parametrize("norm_obs", [False, True])
def test_compiled_discrete(step_by_step, norm_obs):
    ours = check_run(step_by_step, Drift, norm_obs=norm_obs)
    assert ours._buffer.terminations.any()
    assert ours._buffer.truncations.any()


SEPARATE = {"shared_sizes": (), "policy_sizes": (8,), "value_sizes": (6,)}


@pytest.mark.parametrize("norm_obs", [False, True])
def test_values_that_are_computed_after_the_rollout(step_by_step, norm_obs):
    """Networks without shared layers, and more rows than are computed together."""
    settings = SEPARATE | {"norm_obs": norm_obs, "num_steps": 60, "threads": 1}
    ours = check_run(step_by_step, Drift, total_timesteps=900, **settings)
    report = collect(ours.stream, ours.policy, ours._workspace, ours._buffer, np.random.default_rng(0), lambda: False)
    assert report.filled == 60
    flat = ours._buffer.obs.reshape(300, -1)
    activations, inputs = ours.policy.model.activations(300), np.zeros_like(flat)
    ours.policy.preprocess(flat, inputs)
    ours.policy.model.forward(inputs, activations)
    np.testing.assert_allclose(ours._buffer.values[:-1].reshape(-1), activations.values, rtol=0, atol=1e-5)
    assert np.ptp(activations.values) > 1e-2


@pytest.mark.parametrize("norm_obs", [False, True])
def test_values_that_another_thread_computes_during_the_rollout(monkeypatch, step_by_step, norm_obs):
    """Of 7 blocks with 256 rows each and some more rows, most are computed there."""
    there, compute = [], RolloutValues._compute

    def noted(values, first, end):
        there.append((threading.current_thread() is not threading.main_thread(), first, end))
        return compute(values, first, end)

    monkeypatch.setattr(RolloutValues, "_compute", noted)
    settings = SEPARATE | {"norm_obs": norm_obs, "num_steps": 370, "num_minibatches": 1, "threads": 2}
    ours = PPO(config(total_timesteps=2 * 1850, **settings), Drift).learn()
    by_other = sum(end - first for other, first, end in there if other)
    assert by_other == 2 * 7 * 256
    assert_same(ours, step_by_step(config(total_timesteps=2 * 1850, **settings | {"threads": 1}), Drift).learn())


def test_a_value_that_is_not_finite_on_another_thread():
    """The same crash as with one thread, with the first step that has such a value: the sixth of an episode."""
    crashes = []
    for threads in (1, 2):
        ppo = PPO(config(num_steps=370, num_minibatches=1, threads=threads, **SEPARATE), Drift)
        tensors = ppo.policy.model.named(ppo.policy.model.params)
        tensors["value/0/weight"][:] = [[0], [1]]
        tensors["value/0/bias"][:], tensors["value/head/weight"][:] = -4, 3e38 / 6
        with pytest.raises(DivergedError, match="row 7 of the rollout") as error, np.errstate(all="ignore"):
            ppo.learn()
        crashes.append(error.value.crash)
    assert crashes[0].what == crashes[1].what
    for name, array in crashes[0].arrays.items():
        assert np.array_equal(array, crashes[1].arrays[name], equal_nan=True)


BOXES = [("gaussian", "parameter"), ("gaussian", "state"), ("beta", "parameter")]
BOX = ("action_distribution", "log_std")


@pytest.mark.slow  # compiling takes seconds each
@pytest.mark.parametrize(BOX, BOXES)
def test_compiled_box(step_by_step, action_distribution, log_std):
    for norm_obs in (False, True):
        check_run(step_by_step, Tilt, norm_obs=norm_obs, action_distribution=action_distribution, log_std=log_std)


@pytest.mark.parametrize(BOX, BOXES)
def test_box_in_python(plain, step_by_step, action_distribution, log_std):
    check_run(step_by_step, Tilt, norm_obs=True, action_distribution=action_distribution, log_std=log_std)


def test_one_environment_with_longer_rollouts_and_scaled_rewards(step_by_step):
    check_run(step_by_step, Drift, num_envs=1, num_steps=45, norm_reward=True)


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_a_rollout_that_is_stopped_goes_on_as_if_it_was_not(monkeypatch, step_by_step, seconds):
    monkeypatch.setattr(compiled_rollout, "SECONDS", seconds)
    ours, theirs = PPO(config(), Drift), step_by_step(config(), Drift).learn()
    asked = iter([False, True])

    def collect_some(report):
        parts = ours.stream, ours.policy, ours._workspace, ours._buffer, ours.state.rngs["action_rng"]
        return collect(*parts, lambda: next(asked), report)

    ours._report = collect_some(RolloutReport())
    assert ours._report.filled == 1
    asked = iter([False, False] if seconds else [False] * 4 + [True])  # a step, and the rest; or steps
    ours._report = collect_some(ours._report)
    assert ours._report.filled == (9 if seconds else 5)
    assert_same(ours.learn(), theirs)


def test_random_numbers_of_a_rank_drawn_ahead():
    ahead, one_by_one = (OwnRows(np.random.default_rng(1), range(2, 4), 6) for _ in range(2))
    for shape in (2, (2, 3)):
        steps = [one_by_one.standard_normal(shape) for _ in range(5)]
        assert np.array_equal(ahead.ahead().standard_normal((5, *np.atleast_1d(shape))), steps)
        steps = [one_by_one.random(shape) for _ in range(5)]
        assert np.array_equal(ahead.ahead().random((5, *np.atleast_1d(shape))), steps)


def failing(after, function):
    """Drift in which `function` changes what happens after so many steps of an episode."""

    def step(state, action):
        reward, terminated = Drift.step(state, action)
        return (reward, terminated) if state[1] < after else function(state, reward)

    return type("Failing", (Drift,), {"step": staticmethod(step)})


def set_nan(state, reward):
    state[0] = np.nan
    return 1.0, False


def raises(state, reward):
    raise ValueError("too far")


@pytest.mark.parametrize("function", [set_nan, raises, lambda state, reward: (np.inf, True)])
def test_faults_of_environments_are_told_in_the_same_sentence(plain, step_by_step, function):
    env, found = failing(4, function), []
    for make in (PPO, step_by_step):
        ppo = make(config(norm_obs=True), env)
        with pytest.raises(EnvironmentFault) as error:
            ppo.learn()
        found.append((str(error.value), ppo.stream.steps, getattr(error.value, "crash", None)))
        assert ppo.resumable
    assert found[0][:2] == found[1][:2]
    assert found[0][0].startswith("In step 4, ")
    if function is not raises:
        for one, other in zip(found[0][2].arrays.values(), found[1][2].arrays.values(), strict=True):
            assert np.array_equal(one, other, equal_nan=True)


@pytest.mark.parametrize("tensor", ["shared/0/weight", "policy/log_std"])
def test_numbers_of_the_network_that_are_not_finite(plain, step_by_step, tensor):
    crashes = []
    for make in (PPO, step_by_step):
        ppo = make(config(), Tilt)
        ppo.policy.model.named(ppo.policy.model.params)[tensor][0] = 3e38 if "log_std" not in tensor else 1000
        with pytest.raises(DivergedError) as error, np.errstate(all="ignore"):
            ppo.learn()
        crashes.append(error.value.crash)
    assert crashes[0].what == crashes[1].what
    for name, array in crashes[0].arrays.items():
        assert np.array_equal(array, crashes[1].arrays[name], equal_nan=True)


def test_which_policies_are_stepped_one_by_one(plain):
    assert set(SAMPLERS) < set(DISTRIBUTIONS)
    envs = CompiledVectorEnv(Tilt, 2)

    def steps(stream=None, **settings):
        policy = Policy(envs.single_observation_space, envs.single_action_space, config(**settings), None)
        return CompiledSteps.of(
            stream or CompiledStream(envs), policy, policy.workspace(2), RolloutBuffer(3, 2, policy)
        )

    assert steps()
    assert steps(EnvStream(envs)) is None
    assert steps(action_distribution="squashed") is None
    envs.single_action_space = spaces.MultiDiscrete([2, 3])
    assert steps() is None
    envs.single_action_space = spaces.Box(-1, 1, (2,))
    envs.single_observation_space = spaces.Box(0, 9, (2, 2), np.uint8)
    assert steps() is None


@pytest.mark.skipif(not COMPILED, reason="a property of compiled code")
def test_another_process_compiles_nothing():
    PPO(config(updates=1), Drift).learn()
    rollout_kernel.cache_clear()  # as a new process begins
    ppo = PPO(config(updates=1), Drift).learn()
    stats = ppo.envs.rollout_kernel("Categorical").stats
    assert (sum(stats.cache_hits.values()), sum(stats.cache_misses.values())) == (1, 0)
