"""Keyword arguments, wrappers and the limit of steps: environments have them however they are made."""

import re
import shlex
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from sample_environments import Counting

from ppo_np import PPO
from ppo_np.checking.next_minibatch import off_policy_subject
from ppo_np.checking.numerical_check import check_gradients
from ppo_np.config import PPOConfig
from ppo_np.distributed.ranks import Ranks
from ppo_np.environments.make import make_env, make_vector_env, open_environments, spaces_of
from ppo_np.environments.stream import EnvStream
from ppo_np.environments.workers import WorkerEnvs
from ppo_np.errors import UserError
from ppo_np.evaluation.episodes import evaluation_env, step_limit
from ppo_np.running.options import parse

HERE = __name__
closed = []


class Times(gymnasium.ObservationWrapper):
    """Observations times a factor."""

    def __init__(self, env, factor=2):
        super().__init__(env)
        self.factor = factor

    def observation(self, observation):
        return observation * np.float32(self.factor)


class Plus(Times):
    """Observations plus a number."""

    def observation(self, observation):
        return observation + np.float32(self.factor)


class Twice(gymnasium.Wrapper):
    """Each action is done twice; an odd factor is refused."""

    def __init__(self, env, *, odd=0):
        super().__init__(env)
        if odd:
            raise ValueError("odd")

    def step(self, action):
        self.env.step(action)
        return self.env.step(action)

    def close(self):
        closed.append("Twice")
        super().close()


def not_a_wrapper(env):
    return env


def config(env_id="ppo_np_test/Counting-v0", **settings):
    return PPOConfig(env_id=env_id, num_envs=2, num_steps=8, shared_sizes=(4,), **settings)


def observations(env, steps):
    """The observations of an episode's first steps, and whether each step truncated it."""
    shown = [env.reset(seed=0)[0].tolist()]
    cut = []
    for _ in range(steps):
        obs, _, _, truncated, _ = env.step(0)
        shown.append(obs.tolist())
        cut.append(truncated)
    return shown, cut


LONG = {"lengths": (50,), "ends": ("T",)}
TIMES_PLUS = (f"{HERE}:Times(factor=10)", f"{HERE}:Plus(1)")


@pytest.mark.parametrize("factory", [None, Counting])
def test_an_environment_has_its_arguments_its_wrappers_in_order_and_its_limit(factory):
    settings = {"env_kwargs": LONG, "max_episode_steps": 3}
    assert observations(make_env(config(wrappers=TIMES_PLUS, **settings), None, factory), 3) == (
        [[1, 1], [1, 11], [1, 21], [1, 31]], [False, False, True],
    )  # fmt: skip
    assert observations(make_env(config(wrappers=TIMES_PLUS[::-1], **settings), None, factory), 1)[0][1] == [10, 20]
    made = make_env(config(env_kwargs={"start": 5}), None, factory)
    assert (made.action_space.start, made.unwrapped.lengths) == (5, (3, 4))


def test_the_limit_replaces_the_registered_one_and_counts_steps_before_wrappers():
    env = make_env(config(env_kwargs=LONG, max_episode_steps=6, wrappers=(f"{HERE}:Twice",)))
    assert observations(env, 3)[1] == [False, False, True]
    pendulum = make_env(config("Pendulum-v1", max_episode_steps=300))
    pendulum.reset(seed=0)
    assert [pendulum.step(np.zeros(1))[3] for _ in range(300)] == [False] * 299 + [True]


@pytest.mark.parametrize("vectorization", ["sync", "async"])
@pytest.mark.parametrize("factory", [None, Counting])
def test_every_environment_of_a_vector_has_them(vectorization, factory):
    settings = {"env_kwargs": LONG, "wrappers": TIMES_PLUS, "max_episode_steps": 2}
    envs = make_vector_env(config(vectorization=vectorization, **settings), factory)
    assert isinstance(envs, WorkerEnvs) == (vectorization == "async")
    stream = EnvStream(envs).reset(seed=0)
    assert stream.observed.obs.tolist() == [[1, 1], [1, 1]]
    stream.step(np.zeros(2, int))
    assert stream.observed.obs.tolist() == [[1, 11], [1, 11]]
    row = stream.step(np.zeros(2, int))
    assert row.truncations.tolist() == [True, True]
    assert stream.observed.obs.tolist() == [[11, 1], [11, 1]]
    envs.close()


class SecondOfTwo(Ranks):
    """The second of two ranks, as far as making environments asks."""

    rank, size = 1, 2


def test_the_environments_of_another_rank_have_them():
    envs = make_vector_env(config(env_kwargs=LONG, wrappers=TIMES_PLUS), ranks=SecondOfTwo())
    assert [env.unwrapped.lengths for env in envs.envs] == [(50,)]
    assert EnvStream(envs).reset(seed=0).observed.obs.tolist() == [[1, 1]]
    envs.close()


def test_native_environments_have_the_arguments_and_the_limit():
    settings = {"env_kwargs": {"sutton_barto_reward": True}, "max_episode_steps": 7}
    envs = make_vector_env(config("CartPole-v1", vectorization="vector", **settings))
    assert envs.max_episode_steps == 7
    envs.reset(seed=0)
    assert envs.step(np.zeros(2, int))[1].tolist() == [0, 0]  # else 1 a step
    envs.close()


def test_envpool_has_the_arguments_and_the_limit():
    pytest.importorskip("envpool")
    settings = {"env_kwargs": {"size": 8}, "max_episode_steps": 7}
    envs = make_vector_env(config("FrozenLake-v1", vectorization="envpool", **settings))
    assert envs.single_observation_space.n == 64
    assert envs.spec.config.max_episode_steps == 7
    envs.close()
    with pytest.raises(UserError, match=r"^env_kwargs is \{'sise': 8\}, but EnvPool raised TypeError: .*'sise'"):
        make_vector_env(config("FrozenLake-v1", vectorization="envpool", env_kwargs={"sise": 8}))


@pytest.mark.parametrize("vectorization", ["vector", "envpool"])
def test_native_environments_cannot_have_wrappers(vectorization):
    with pytest.raises(UserError, match=rf"^vectorization is '{vectorization}', but a wrapper needs 'sync' or 'async'"):
        make_vector_env(config("CartPole-v1", vectorization=vectorization, wrappers=TIMES_PLUS))


SHAPING = [{"obs_grayscale": True}, {"obs_resize": (4, 4)}, {"frame_stack": 2}, {"rescale_actions": True}]


@pytest.mark.parametrize("vectorization", ["vector", "envpool"])
@pytest.mark.parametrize("settings", SHAPING, ids=lambda s: next(iter(s)))
def test_native_environments_cannot_be_shaped(settings, vectorization):
    (name,) = settings
    with pytest.raises(UserError, match=f"^vectorization is '{vectorization}', but {name} needs 'sync' or 'async'"):
        make_vector_env(config("CartPole-v1", vectorization=vectorization, **settings))


@pytest.mark.parametrize(
    "settings",
    [{"env_kwargs": {"a": 1}}, {"wrappers": ("a:B",)}, {"max_episode_steps": 3}, *SHAPING],
    ids=lambda s: next(iter(s)),
)
def test_a_ready_vector_environment_cannot_have_them(settings):
    ((name, value),) = settings.items()
    ready = SyncVectorEnv([Counting], autoreset_mode=AutoresetMode.NEXT_STEP)
    sentence = f"{name} is {value!r}, but it must be left away with a VectorEnv, which is made already."
    with pytest.raises(UserError, match="^" + re.escape(sentence)):
        open_environments(config(**settings), ready)


def test_an_evaluation_has_them_and_the_limit_of_the_training_unless_it_has_its_own():
    settings = config(env_kwargs=LONG, wrappers=TIMES_PLUS, max_episode_steps=3)
    assert observations(evaluation_env(settings), 1)[0] == [[1, 1], [1, 11]]
    limits = [step_limit(evaluation_env(one, given)) for one in (config(), settings) for given in (None, 5)]
    assert limits == [10_000, 5, 3, 5]


def test_gradients_are_checked_for_the_spaces_of_the_wrapped_environment():
    settings = config(
        "FrozenLake-v1", env_kwargs={"map_name": "8x8"}, wrappers=("gymnasium.wrappers:TimeAwareObservation",)
    )
    report, subject = check_gradients(settings), off_policy_subject(settings)
    size = next(check.shape[0] for check in report.checks if check.name == "shared/0/weight")
    assert size == subject.minibatch.obs.shape[1] == gymnasium.spaces.flatdim(spaces_of(settings)[0]) == 65


GYM = "gymnasium.wrappers"


@pytest.mark.parametrize(
    ("wrapper", "sentence"),
    [
        ("no_such_module:X", r"the module no_such_module cannot be imported: No module named 'no_such_module'"),
        ("odd_import:X", r"the module odd_import cannot be imported: it raised ZeroDivisionError: .* \(odd_import\.py, line 1\)"),  # noqa: E501
        ("odd_exit:X", r"the module odd_exit cannot be imported: it raised SystemExit: 1 .*"),
        (f"{HERE}:Tines", rf"{HERE} has no Tines; its wrappers are: Plus, Times, Twice"),
        (f"{HERE}:not_a_wrapper", rf"{HERE} has a not_a_wrapper that is no gymnasium\.Wrapper; its wrappers are: Plus, Times, Twice"),  # noqa: E501
        (f"{HERE}:PPO", rf"{HERE} has a PPO that is no gymnasium\.Wrapper; .*"),
        (f"{GYM}:FrameStack", rf"{GYM} has no FrameStack; its wrappers are: .*, FrameStackObservation, .*"),
        ("math:sqrt", r"math has a sqrt that is no gymnasium\.Wrapper; its wrappers are: none"),
        (f"{HERE}:Times(fctor=3)", r"it raised TypeError: .*'fctor'.* \(the arguments are Times\(env, factor=2\)\)"),
        (f"{HERE}:Times(1, 2)", r"it raised TypeError: .* \(the arguments are Times\(env, factor=2\)\)"),
        (f"{GYM}:FrameStackObservation", r"it raised TypeError: .*'stack_size'.* \(the arguments are FrameStackObservation\(env: .*, stack_size: 'int', .*\)\)"),  # noqa: E501
        (f"{HERE}:Twice(odd=1)", rf"it raised ValueError: odd \({HERE}\.py, line \d+\)"),
    ],
)  # fmt: skip
def test_a_wrapper_that_cannot_be_applied_is_one_sentence_and_what_was_made_is_closed(
    wrapper, sentence, tmp_path, monkeypatch
):
    for name, text in (("odd_import", "1 / 0"), ("odd_exit", "raise SystemExit(1)")):
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    closed.clear()
    with pytest.raises(UserError) as caught:
        PPO(config(wrappers=(f"{HERE}:Twice", wrapper)))
    expected = rf"wrappers has {re.escape(repr(wrapper))}, but {sentence}\."
    assert re.fullmatch(expected, str(caught.value)), str(caught.value)
    assert closed == ["Twice"]


@pytest.mark.parametrize(
    ("settings", "factory", "sentence"),
    [
        ({"env_kwargs": {"lenghts": 3}}, None, r"env_id is 'ppo_np_test/Counting-v0', but no such environment can be made: it raised TypeError: .*'lenghts'.* \(the arguments are Counting\(lengths=\(3, 4\), ends=.*\)\)\."),  # noqa: E501
        ({"env_kwargs": {"lenghts": 3}}, Counting, r"env is a function, but it raised TypeError: .*'lenghts' .* \(the arguments are Counting\(lengths=\(3, 4\), .*\)\)\."),  # noqa: E501
        ({"env_kwargs": {"foo": 3}, "env_id": "CartPole-v1", "vectorization": "vector"}, None, r"env_id is 'CartPole-v1', .*'foo'.* \(the arguments are CartPoleVectorEnv\(num_envs: int = 1, .*\)\)\."),  # noqa: E501
        ({"env_kwargs": {"foo": 3}}, lambda: Counting(), r"env is a function, but it raised TypeError: .* \(the arguments are <lambda>\(\)\)\."),  # noqa: E501
        ({"env_kwargs": {"id": 3}}, None, r"env_id is .* multiple values for argument 'id'.*"),
    ],
)  # fmt: skip
def test_a_wrong_argument_of_the_environment_quotes_what_it_takes(settings, factory, sentence):
    with pytest.raises(UserError) as caught:
        make_vector_env(config(**settings), factory)
    assert re.fullmatch(sentence, str(caught.value)), str(caught.value)


def test_the_commands_of_the_page_make_their_environments():
    page = (Path(__file__).parents[2] / "docs" / "environments.md").read_text()
    section = page.split("## Arguments, wrappers and the limit of steps")[1].split("\n## ")[0]
    (commands,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    made = [make_env(parse(shlex.split(command)[3:]).config) for command in commands.splitlines()]
    assert [gymnasium.spaces.flatdim(env.observation_space) for env in made] == [64, 4 * 3]
    assert step_limit(made[0]) == 60
    (snippet,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names = {}
    exec(snippet, names)
    assert names["ppo"].envs.single_observation_space.shape == (5,)
    assert step_limit(names["ppo"].envs.envs[0]) == 300
    names["ppo"].close()


def test_a_function_without_arguments_is_called_as_before():
    envs = make_vector_env(config(), lambda: Counting(start=3))
    assert envs.single_action_space.start == 3
    envs.close()
