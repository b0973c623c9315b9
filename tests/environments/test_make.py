"""Making environments: by id, by a factory, vectorised in every way, filmed, refused in one sentence."""

import itertools
import multiprocessing
import re
import time
from dataclasses import replace

import faulty
import gymnasium
import numpy as np
import pytest
import sample_environments
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from ppo_np import PPO
from ppo_np.config import PPOConfig
from ppo_np.environments.film import VideoOptions
from ppo_np.environments.make import close_environments, make_env, make_vector_env, spaces_of
from ppo_np.environments.stream import EnvStream
from ppo_np.environments.workers import WorkerEnvs
from ppo_np.errors import EnvironmentFault, UserError


def config(env_id="CartPole-v1", **settings):
    return PPOConfig(env_id=env_id, num_envs=2, num_steps=8, **settings)


@pytest.mark.parametrize(
    "env_id", ["Nope-v0", "LunarLander-v2", "no_such_module:Nope-v0", "not an id", "ppo_np_test/Counting-v7", "a:b:c"]
)
@pytest.mark.parametrize("vectorization", ["sync", "vector"])
def test_an_unknown_environment_is_one_sentence(env_id, vectorization):
    with pytest.raises(UserError, match=f"^env_id is '{env_id}', but no such environment can be made: ") as caught:
        make_vector_env(config(env_id, vectorization=vectorization))
    assert "\n" not in str(caught.value)


class Odd(gymnasium.Env):
    """Goes wrong when it is made or closed; `needed` has no default."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, needed, make=None, close=lambda: None, bound=1, render_mode=None):
        if make:
            make()
        self.close = close
        self.observation_space = gymnasium.spaces.Box(-bound, bound, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 1.0, False, False, {}


def leave():
    raise SystemExit(3)


gymnasium.register("Needy-v0", Odd)
gymnasium.register("RaisingWhenMade-v0", Odd, kwargs={"needed": 0, "make": faulty.raise_exception})
gymnasium.register("Leaving-v1", Odd, kwargs={"needed": 0, "make": leave})
gymnasium.register("HangingWhenMade-v0", Odd, kwargs={"needed": 0, "make": faulty.hang})


@pytest.mark.parametrize(
    ("env_id", "reason"),
    [
        ("Needy-v0", r"it raised TypeError: .*missing 1 required positional argument: 'needed' .* \(give them as env_kwargs\) \(the arguments are Odd\(needed, make=None, close=.*, bound=1, render_mode=None\)\)"),  # noqa: E501
        ("RaisingWhenMade-v0", r"it raised RuntimeError: the simulator is gone \(faulty\.py, line \d+\)"),
        ("Leaving-v1", r"it raised SystemExit: 3 \(test_make\.py, line \d+\)"),
        ("odd_import:X-v0", r"it raised ZeroDivisionError: division by zero \(odd_import\.py, line 1\)"),
        ("odd_syntax:X-v0", r"it raised SyntaxError: .* \(odd_syntax\.py, line 1\) .*"),
        ("odd_exit:X-v0", r"it raised SystemExit: 1 .*"),
        ("own.py:Id-v0", r"No module named 'own.* \(write own:Id-v0, without \.py\)"),
        *((name, r"an id may have one colon, and before it the name of a module to import") for name in (":X-v0", ".:X-v0", "./own:X-v0", "a:b:c")),  # noqa: E501
        ("MiniGrid-Empty-v0", r".* \(ids of other packages and of your own files are written module:Id-v0\)"),
        ("ALE/Pong-v5", r".*\(ids of other packages and of your own files are written module:Id-v0\)"),
    ],
)  # fmt: skip
def test_an_id_that_cannot_be_made_is_one_sentence_with_a_remedy(env_id, reason, tmp_path, monkeypatch):
    for name, text in (("odd_import", "1 / 0"), ("odd_syntax", "def"), ("odd_exit", "raise SystemExit(1)")):
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError) as caught:
        make_env(config(env_id))
    expected = rf"env_id is '{re.escape(env_id)}', but no such environment can be made: {reason}\."
    assert re.fullmatch(expected, str(caught.value)), str(caught.value)


@pytest.fixture
def short_limits(monkeypatch):
    monkeypatch.setattr("ppo_np.environments.wrapping.START_TIMEOUT", 0.2)
    monkeypatch.setattr("ppo_np.environments.guard.CLOSE_TIMEOUT", 0.2)


def test_an_environment_that_hangs_when_it_is_made_is_told(short_limits):
    with pytest.raises(EnvironmentFault, match=r"^the environment was not made within 0\.2 s$"):
        make_env(config("HangingWhenMade-v0"))
    makes = iter([None, None, faulty.hang])  # the first one is made to be looked at
    with pytest.raises(
        EnvironmentFault, match=r"^While .*, environment 1 was not made within 0\.3 s \(env_timeout\)\.$"
    ):
        make_vector_env(config(env_timeout=0.3), lambda: Odd(0, make=next(makes)))
    with pytest.raises(EnvironmentFault, match=r"^the environment was not made within 0\.2 s$"):
        make_vector_env(config(env_timeout=0.1), lambda: Odd(0, make=faulty.hang))


@pytest.mark.parametrize(
    ("raising", "error", "message"),
    [
        (0, UserError, r"env is a function, but it raised RuntimeError: the simulator is gone \(faulty.*\)\."),
        (1, EnvironmentFault, r"While the environments were made, environment 0 raised RuntimeError: .* made\."),
        (2, EnvironmentFault, r"While the environments were made, environment 1 raised RuntimeError: .* made\."),
    ],
)  # fmt: skip
def test_a_function_that_raises_is_one_sentence_and_what_was_made_is_closed(raising, error, message):
    numbers, closed = itertools.count(), []

    def make():
        number = next(numbers)
        return Odd(0, faulty.raise_exception if number == raising else None, lambda: closed.append(number))

    with pytest.raises(error) as caught:
        make_vector_env(config(), make)
    assert re.fullmatch(message, str(caught.value)), str(caught.value)
    assert closed == list(range(raising))


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_environments_of_different_spaces_are_refused(vectorization):
    bounds = iter([1, 1, 1, 2] if vectorization == "async" else [1, 1, 2])  # those that are looked at come first
    made = multiprocessing.Value("i", 0)

    def make():
        made.value += 1
        return Odd(0, bound=2 if multiprocessing.current_process().name.endswith("-1") or made.value > 3 else 1)

    make = make if vectorization == "async" else lambda: Odd(0, bound=next(bounds))
    said = (
        r"^The observation space of environment 1 is Box\(-2.0, 2.0, .*\), but it must be Box\(-1.0, 1.0, .*\), as that"
    )
    with pytest.raises(UserError, match=said):
        make_vector_env(config(vectorization=vectorization), make)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("close", "said"),
    [
        (faulty.raise_exception, r"raised RuntimeError: the simulator is gone \(faulty\.py, line \d+\) in its close"),
        (leave, r"raised SystemExit: 3 \(test_make\.py, line \d+\) in its close"),
        (lambda: time.sleep(9), r"did not end its close within 0\.2 s"),
    ],
)
def test_an_environment_that_fails_to_close_is_a_warning(close, said, short_limits):
    with pytest.warns(RuntimeWarning) as warned:
        PPO(config(shared_sizes=(4,)), lambda: Odd(0, close=close)).close()
        ready = SyncVectorEnv([lambda: Odd(0, close=close)], autoreset_mode=AutoresetMode.NEXT_STEP)
        PPO(config(shared_sizes=(4,)), ready).close()
        del ready
    who = ["the environment", "environment 0", "environment 1", "the vector environment"]
    for one, warning in zip(who, warned, strict=True):
        expected = said.replace("0\\.2", "0\\.1") if one == "environment 1" else said  # see the test below
        assert re.fullmatch(f"{one} {expected}", str(warning.message))


@pytest.mark.parametrize("broken", [False, True])
def test_environments_that_hang_in_close_do_not_cost_the_limit_each(monkeypatch, broken):
    """Also where others were made before one that cannot be made. All are tried; those that end have no warning."""
    monkeypatch.setattr("ppo_np.environments.guard.CLOSE_TIMEOUT", 0.4)
    numbers, tried = itertools.count(), []

    def make():
        number = next(numbers)

        def close():
            tried.append(number)
            time.sleep(9 if number % 2 else 0)

        return Odd(0, faulty.raise_exception if broken and number == 8 else None, close)

    eight = replace(config(), num_envs=8)
    with pytest.warns(RuntimeWarning) as warned:
        if broken:
            with pytest.raises(EnvironmentFault, match=r"^While .*, environment 7 raised RuntimeError"):
                make_vector_env(eight, make)
        else:
            close_environments(make_vector_env(eight, make))
    assert tried == list(range(8 if broken else 9))
    share = 0.4 / (7 if broken else 8)
    late = [0, 2, 4, 6]  # number 0 was made to see its spaces
    said = [f"environment {i} did not end its close within {share if i else 0.4:g} s" for i in late]
    assert [str(warning.message) for warning in warned] == said


def test_a_native_version_that_there_is_not_is_one_sentence():
    with pytest.raises(UserError, match="^env_id is 'Pendulum-v1', but no such environment can be made: .*vector"):
        make_vector_env(config("Pendulum-v1", vectorization="vector"))


def test_envpool_that_is_not_installed_is_one_sentence(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^vectorization 'envpool' needs envpool, .*pip install 'ppo_np\[envpool\]'"):
        make_vector_env(config(vectorization="envpool"))


def test_a_video_needs_an_environment_that_renders(tmp_path):
    with pytest.raises(UserError, match="render mode rgb_array"), pytest.warns(UserWarning, match="render"):
        make_vector_env(config("ppo_np_test/Counting-v0"), video=VideoOptions(tmp_path / "videos"))
    assert not (tmp_path / "videos").exists()


@pytest.mark.parametrize("vectorization", ["vector", "envpool"])
def test_a_video_or_a_factory_needs_single_environments(tmp_path, vectorization):
    native = config(vectorization=vectorization)
    for video, factory, what in (
        (VideoOptions(tmp_path), None, "a video"),
        (None, sample_environments.Guess, "a factory"),
    ):
        with pytest.raises(UserError, match=f"^vectorization is '{vectorization}', but {what} needs 'sync' or 'async'"):
            make_vector_env(native, factory, video)


def test_unsupported_spaces_are_refused_before_anything_is_filmed(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "ppo_np.environments.make.action_head", lambda space, config: (_ for _ in ()).throw(UserError("no"))
    )
    with pytest.raises(UserError, match="no"):
        make_vector_env(config(), video=VideoOptions(tmp_path / "videos"))
    assert not (tmp_path / "videos").exists()


def test_a_factory_must_make_environments():
    with pytest.raises(UserError, match="^env makes int objects, but it must make a gymnasium.Env"):
        make_vector_env(config(), lambda: 3)


def test_spaces_of_an_environment():
    obs_space, action_space = spaces_of(config())
    assert obs_space.shape == (4,)
    assert action_space.n == 2


@pytest.mark.parametrize(("vectorization", "kind"), [("sync", SyncVectorEnv), ("async", WorkerEnvs)])
@pytest.mark.parametrize("factory", [None, lambda: gymnasium.make("CartPole-v1")])
def test_environments_are_seeded_one_by_one(vectorization, kind, factory):
    envs = make_vector_env(config(vectorization=vectorization), factory)
    assert isinstance(envs, kind)
    stream = EnvStream(envs).reset(seed=5)
    for n in range(2):
        assert np.array_equal(stream.observed.obs[n], make_env(config()).reset(seed=5 + n)[0])
    envs.close()


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_every_third_episode_of_environment_0_is_filmed(tmp_path, vectorization):
    envs = make_vector_env(config(vectorization=vectorization), video=VideoOptions(tmp_path / "videos"))
    stream = EnvStream(envs).reset(seed=0)
    episodes = 0
    while episodes < 10:
        episodes += len(stream.step(np.array([1, 1])).episodes)
    envs.close()
    names = sorted(path.name for path in (tmp_path / "videos").glob("*.mp4"))
    assert names == ["rl-video-episode-0.mp4", "rl-video-episode-3.mp4"]
    assert all(path.stat().st_size > 1000 for path in (tmp_path / "videos").glob("*.mp4"))
