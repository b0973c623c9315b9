"""Making environments: by id, by a factory, vectorised in every way, filmed, refused in one sentence."""

import gymnasium
import numpy as np
import pytest
import sample_environments
from gymnasium.vector import SyncVectorEnv

from ppo_np.config import PPOConfig
from ppo_np.environments.film import VideoOptions
from ppo_np.environments.make import make_env, make_vector_env, spaces_of
from ppo_np.environments.stream import EnvStream
from ppo_np.environments.workers import WorkerEnvs
from ppo_np.errors import UserError


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
    obs_space, action_space = spaces_of("CartPole-v1")
    assert obs_space.shape == (4,)
    assert action_space.n == 2


@pytest.mark.parametrize(("vectorization", "kind"), [("sync", SyncVectorEnv), ("async", WorkerEnvs)])
@pytest.mark.parametrize("factory", [None, lambda: gymnasium.make("CartPole-v1")])
def test_environments_are_seeded_one_by_one(vectorization, kind, factory):
    envs = make_vector_env(config(vectorization=vectorization), factory)
    assert isinstance(envs, kind)
    stream = EnvStream(envs).reset(seed=5)
    for n in range(2):
        assert np.array_equal(stream.observed.obs[n], make_env("CartPole-v1").reset(seed=5 + n)[0])
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
