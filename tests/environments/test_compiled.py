"""Environments that are written as two compiled functions: checks, stepping, the single environment, the cache."""

import re

import gymnasium
import numba
import numpy as np
import pytest
from compiled_models import Drift, in_python
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numba.core.errors import TypingError

from ppo_np import PPO, EnvironmentFault, PPOConfig, UserError
from ppo_np.environments import compiled
from ppo_np.environments.compiled_envs import CompiledVectorEnv
from ppo_np.environments.env_recorder import EnvRecord
from ppo_np.environments.fingerprint import fingerprint
from ppo_np.environments.make import make_env, make_vector_env
from ppo_np.environments.stream import EnvStream
from ppo_np.evaluation.episodes import evaluation_env

CONFIG = PPOConfig(
    env_id="ppo_np_test/Drift-v0", num_envs=4, num_steps=16, total_timesteps=512, shared_sizes=(8,), seed=3,
    vectorization="compiled",
)  # fmt: skip


@pytest.fixture
def plain(monkeypatch):
    with in_python(monkeypatch):
        yield


def variant(**changes):
    """Drift with other attributes."""
    return type("Broken", (Drift,), {k: staticmethod(v) if k in ("step", "observe") else v for k, v in changes.items()})


def same_steps(one, other, steps=60, seed=3):
    """Both vector environments give the same."""
    assert np.array_equal(one.reset(seed=seed)[0], other.reset(seed=seed)[0])
    one.action_space.seed(0)
    ended = 0
    for _ in range(steps):
        actions = one.action_space.sample()
        mine, others = one.step(actions), other.step(actions)
        for own, theirs in zip(mine[:4], others[:4], strict=True):
            assert np.array_equal(own, theirs)
            assert own.dtype == theirs.dtype
        assert ("final_obs" in mine[4]) == ("final_obs" in others[4])
        if "final_obs" in mine[4]:
            assert np.array_equal(mine[4]["_final_obs"], others[4]["_final_obs"])
            for n in np.flatnonzero(mine[4]["_final_obs"]):
                ended += 1
                assert np.array_equal(mine[4]["final_obs"][n], others[4]["final_obs"][n])
    return ended


def test_it_is_gymnasiums_vector_environment_of_single_ones():
    ours = gymnasium.make_vec("ppo_np_test/Drift-v0", 3, vectorization_mode="vector_entry_point", spread=2.0)
    assert isinstance(ours, CompiledVectorEnv)
    single = [lambda: gymnasium.make("ppo_np_test/Drift-v0", spread=2.0)] * 3
    theirs = SyncVectorEnv(single, autoreset_mode=AutoresetMode.SAME_STEP)
    assert same_steps(ours, theirs) > 20


def test_what_a_step_gave_is_not_overwritten():
    envs = CompiledVectorEnv(Drift, 2)
    first = [envs.reset(seed=0)[0]]
    first += envs.step(np.array([7, 5]))[:4]
    kept = [each.copy() for each in first]
    for _ in range(20):
        envs.step(np.array([7, 5]))
    assert all(map(np.array_equal, first, kept))


def test_seeds_belong_to_environments_and_generators_go_on_without_a_seed():
    four, two = CompiledVectorEnv(Drift, 4), CompiledVectorEnv(Drift, 2)
    assert np.array_equal(four.reset(seed=3)[0][2:], two.reset(seed=5)[0])
    assert np.array_equal(four.reset()[0][2:], two.reset()[0])
    assert np.array_equal(two.reset(seed=[4, 9])[0][0], four.reset(seed=4)[0][0])


def test_the_single_environment_passes_gymnasiums_check():
    check_env(gymnasium.make("ppo_np_test/Drift-v0", render_mode="rgb_array").unwrapped)
    env = evaluation_env(CONFIG, render_mode="rgb_array")
    env.reset(seed=0)
    env.step(6)
    assert (env.render() == 1).all()
    assert env.spec.max_episode_steps == 7
    assert make_env(CONFIG).render_mode is None


@pytest.mark.parametrize(
    ("space", "action"),
    [
        (spaces.Box(-1, 1, (2,)), np.array([[0.5, 1], [-1, 0]], np.float32)),
        (spaces.MultiDiscrete([2, 3]), np.array([[1, 2], [0, 1]])),
    ],
)
def test_actions_that_are_arrays(plain, space, action):
    def step(state, action):
        state[0], state[1] = action[0], action[1]
        return 0.0, False

    envs = CompiledVectorEnv(variant(step=step, action_space=space), 2)
    envs.reset(seed=0)
    assert np.array_equal(envs.step(action)[0], action)


def test_training_is_that_of_the_single_environments_bit_for_bit():
    ours = PPO(CONFIG).learn()
    by_class = PPO(CONFIG, Drift).learn()
    theirs = PPO(PPOConfig(**CONFIG.to_dict() | {"vectorization": "sync"})).learn()
    for other in (by_class, theirs):
        assert np.array_equal(ours.policy.model.params, other.policy.model.params)
        assert ours.recent_episodes == other.recent_episodes
    assert (by_class.config.env_id, by_class.config.vectorization) == ("", "compiled")


def stopped_at(update, path):
    def after_update(ppo, metrics):
        if ppo.update == update:
            ppo.save(path)
            ppo.stop()

    return after_update


def test_resume_is_exact_and_repeats_nothing(tmp_path, monkeypatch):
    whole = PPO(CONFIG).learn()
    PPO(CONFIG).learn(stopped_at(3, tmp_path / "half.h5"))
    steps = []
    with monkeypatch.context() as patched:
        patched.setattr(CompiledVectorEnv, "step", lambda *_: steps.append(1))
        resumed = PPO.load(tmp_path / "half.h5")
    assert (resumed.lost_envs, steps) == ([], [])
    assert np.array_equal(resumed.learn().policy.model.params, whole.policy.model.params)
    assert resumed.recent_episodes == whole.recent_episodes


@pytest.mark.parametrize("change", ["observation", "size of the state"])
def test_an_environment_that_was_changed_begins_new_episodes(plain, tmp_path, change):
    PPO(CONFIG).learn(stopped_at(3, tmp_path / "half.h5"))

    def observe(state, obs):
        obs[0], obs[1] = state[0], state[1] + 1

    changed = variant(observe=observe) if change == "observation" else variant(reset=lambda self, rng: [0.0, 0.0, 0.0])
    if change != "observation":
        changed.observe = staticmethod(lambda state, obs: obs.fill(0))
    with pytest.warns(RuntimeWarning, match="^environments 0, 1, 2, 3 could not be restored"):
        PPO.load(tmp_path / "half.h5", changed).learn()


def test_a_checkpoint_holds_the_state_for_any_number_of_ranks():
    four = EnvStream(CompiledVectorEnv(Drift, 4)).reset(seed=3)
    actions = np.array([[5, 6, 7, 6], [6, 7, 7, 5], [7, 7, 5, 5]])
    for own in actions:
        four.step(own)
    record = four.record(four.mark(four.observed))
    parts = [record.part(range(2)), record.part(range(2, 4))]
    joined = EnvRecord.of_arrays(EnvRecord.joined(parts).arrays())
    assert all(np.array_equal(array, record.arrays()[name]) for name, array in joined.arrays().items())
    assert record.states.shape == (4, 4)
    two = EnvStream(CompiledVectorEnv(Drift, 2), first=2)
    assert two.restore(parts[1], 0, lambda obs, flat: np.copyto(flat, obs)).all()
    for own in np.tile(actions, (4, 1)):
        mine, others = two.step(own[2:]), four.step(own)
        assert np.array_equal(two.observed.obs, four.observed.obs[2:])
        assert np.array_equal(mine.rewards, others.rewards[2:])
        assert np.array_equal(mine.truncations, others.truncations[2:])


def no_write(state, obs):
    obs[0] = state[0]


def beyond(state, obs):
    obs[:] = 0
    obs[2] = 1


def alone(state, action):
    return 1.0


def nan(state, action):
    return np.nan, False


def raising(state, action):
    raise ValueError("no")


def of_self(self, state, action):
    return 1.0, False


def changing(state, obs):
    obs[:] = 0
    state[0] = 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observe": no_write}, "Broken.observe does not write obs[1], but it must write all of it."),
        ({"observe": beyond}, "Broken.observe raised IndexError: index 2 is out of bounds"),
        ({"reset": lambda self, rng: np.ones(3)}, "Broken.observe raised IndexError: index 2 is out of bounds"),
        ({"reset": lambda self, rng: np.ones(1)}, "Broken.observe does not write obs[1], but it must write all of it."),
        ({"observe": changing}, "Broken.observe changes the state, but only step may do that."),
        ({"observe": lambda state, obs: obs}, "What Broken.observe returns is array("),
        ({"observe": lambda state, obs: obs.fill(np.nan)}, "The first observation of Broken.observe is [nan, nan]"),
        ({"step": alone}, "What Broken.step returns is 1.0, but it must be (reward, terminated), a number and a bool."),
        ({"step": nan}, "The first reward of Broken.step is nan, but it must be a finite number."),
        ({"step": raising}, "Broken.step raised ValueError: no (test_compiled.py, line "),
        ({"step": of_self}, "Broken.step is '(self, state, action)', but it must be a static function with the argum"),
        ({"step": lambda s, a: (np.random.random(), False)}, "Broken.step draws random numbers, but only reset may"),
        ({"reset": lambda self, rng: 1 / 0}, "Broken.reset raised ZeroDivisionError: division by zero"),
        ({"reset": lambda self, rng: 1.0}, "Broken.reset gave a state of shape () and type float64, but it must be"),
        ({"reset": lambda self, rng: "ab"}, "Broken.reset gave a state of shape () and type <U2, but it must"),
        ({"observation_space": spaces.Discrete(2)}, "Broken.observation_space is Discrete(2), but it must be a Box"),
        ({"action_space": spaces.Text(2)}, "Broken.action_space is Text("),
        ({"max_episode_steps": 0}, "Broken.max_episode_steps is 0, but it must be an integer >= 1, or None."),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_with_the_function(changes, message):
    with pytest.raises(UserError) as error:
        CompiledVectorEnv(variant(**changes))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def not_typed(state, action):
    return (np.zeros(1) if state[0] > 5 else 0.0), False


@pytest.mark.slow  # the first function that a process compiles takes seconds
def test_what_numba_cannot_compile_is_one_sentence_with_the_function():
    with pytest.raises(UserError, match=r"^Broken.step cannot be compiled by Numba: Cannot unify .*[^.]\.$") as error:
        CompiledVectorEnv(variant(step=not_typed))
    assert "\n" not in str(error.value)


def test_what_numba_says_is_shortened_to_one_line():
    numbas = "Failed in nopython mode pipeline (step: nopython frontend)\n\nCannot unify A and B\nDuring: typing of x"
    assert str(compiled._not_compiled("X.step", TypingError(numbas))) == (
        "X.step cannot be compiled by Numba: Cannot unify A and B."
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"env_id": "Blackjack-v1"}, "env_id is 'Blackjack-v1', but it must be the id of a CompiledEnv with"),
        ({"env_id": "Nothing-v0"}, "env_id is 'Nothing-v0', but no such environment can be made: "),
        ({"action_mask": "info:mask"}, "action_mask is 'info:mask', but it must be empty with compiled environments"),
        ({"wrappers": ("a:B",)}, "vectorization is 'compiled', but a wrapper needs 'sync' or 'async'."),
        ({"env_kwargs": {"foo": 1}}, "Drift raised TypeError: Drift.__init__() got an unexpected keyword"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit(settings, message):
    with pytest.raises(UserError, match=f"^{re.escape(message)}"):
        make_vector_env(PPOConfig(**CONFIG.to_dict() | settings))


def test_numbers_that_are_not_finite_are_found_as_elsewhere(plain):
    def step(state, action):
        state[1] += 1
        return 1.0 if state[1] < 3 else np.inf, False

    with pytest.raises(EnvironmentFault, match=r"^In step 3, environment 0 gave the reward inf, but"):
        PPO(CONFIG, variant(step=step)).learn()


def test_an_exception_in_a_later_step_or_reset_names_the_functions(plain):
    def step(state, action):
        state[1] += 1
        if state[1] > 2:
            raise ValueError("too far")
        return 1.0, False

    with pytest.raises(EnvironmentFault, match=r"^In step 3, Broken.step or observe raised ValueError: too far"):
        PPO(CONFIG, variant(step=step)).learn()
    growing = iter(range(1, 99))
    with pytest.raises(EnvironmentFault, match=r"^In step 0, Broken.reset gave a state of shape \(2,\) and .* \(1,\)"):
        PPO(CONFIG, variant(
            reset=lambda self, rng: np.zeros(next(growing)), observe=lambda state, obs: obs.fill(0),
            step=lambda state, action: (1.0, False),
        ))  # fmt: skip


def test_without_the_compiler_it_is_plain_python(plain, monkeypatch):
    seen = []

    def step(state, action):
        seen.append(int(action))
        return Drift.step(state, action)

    in_python = CompiledVectorEnv(variant(step=step), 2)
    monkeypatch.undo()
    compiled._kernels.cache_clear()
    assert same_steps(in_python, CompiledVectorEnv(Drift, 2)) > 10
    assert len(seen) == 121


def test_another_process_compiles_nothing():
    first = CompiledVectorEnv(Drift)._program
    compiled._kernels.cache_clear()  # as a new process begins
    again = CompiledVectorEnv(Drift)._program
    for kernel in (again.step_envs, again.observe_envs):
        assert (sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values())) == (1, 0)
    assert again.step_envs is not first.step_envs


CONSTANT = 1.0
ARRAY = np.zeros(2)


@numba.njit
def helper(x):
    return x + CONSTANT


def user(x):
    return helper(x) + ARRAY[0] + max(x, np.sin(x))


def test_the_fingerprint_changes_with_all_that_a_function_uses(monkeypatch):
    prints = [fingerprint(user, 1), fingerprint(user, 2)]
    assert fingerprint(user, 1) == prints[0]
    monkeypatch.setitem(globals(), "CONSTANT", 2.0)
    prints.append(fingerprint(user, 1))
    monkeypatch.setitem(globals(), "ARRAY", np.ones(2))
    prints.append(fingerprint(user, 1))
    monkeypatch.setitem(globals(), "helper", numba.njit(lambda x: x + 3))
    prints.append(fingerprint(user, 1))
    assert len(set(prints)) == 5
    assert all(prints)
    monkeypatch.setitem(globals(), "ARRAY", object())
    assert fingerprint(user, 1) == ""
