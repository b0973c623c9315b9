"""Vector environments: making, resetting in the same step, counting episodes, filming."""

import environments
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from ppo_np.envs import EnvStream, VideoOptions, make_env, make_vector_env, spaces_of
from ppo_np.errors import UserError


def counting(num_envs=2, **kwargs):
    factories = [lambda: environments.Counting(**kwargs)] * num_envs
    return SyncVectorEnv(factories, autoreset_mode=AutoresetMode.SAME_STEP)


@pytest.mark.parametrize(
    "env_id", ["Nope-v0", "LunarLander-v2", "no_such_module:Nope-v0", "not an id", "ppo_np_test/Counting-v7", "a:b:c"]
)
def test_an_unknown_environment_is_one_sentence(env_id):
    with pytest.raises(UserError, match=f"^env_id is '{env_id}', but no such environment can be made: ") as caught:
        make_env(env_id)
    assert "\n" not in str(caught.value)


def test_a_video_needs_an_environment_that_renders(tmp_path):
    with pytest.raises(UserError, match="render mode rgb_array"), pytest.warns(UserWarning, match="render"):
        make_env("ppo_np_test/Counting-v0", video=VideoOptions(tmp_path / "videos"))
    assert not (tmp_path / "videos").exists()


def test_spaces_of_an_environment():
    obs_space, action_space = spaces_of("CartPole-v1")
    assert obs_space.shape == (4,)
    assert action_space.n == 2


def test_environments_are_seeded_one_by_one():
    stream = EnvStream(make_vector_env("CartPole-v1", 3), seed=5)
    for n in range(3):
        assert np.array_equal(stream.obs[n], make_env("CartPole-v1").reset(seed=5 + n)[0])


def test_episodes_are_counted_across_rollouts_in_every_environment():
    stream = EnvStream(counting(lengths=(3, 1)), seed=0)
    seen = []
    for t in range(8):
        step = stream.step(np.array([0, t % 2]))
        seen.append([tuple(episode) for episode in step.episodes])
    # Lengths 3, 1, 3, 1; environment 0 gets reward 1 a step, environment 1 one more in odd steps.
    assert seen == [
        [],
        [],
        [(3.0, 3), (4.0, 3)],
        [(1.0, 1), (2.0, 1)],
        [],
        [],
        [(3.0, 3), (4.0, 3)],
        [(1.0, 1), (2.0, 1)],
    ]


def test_the_final_observation_is_the_real_one():
    stream = EnvStream(counting(lengths=(2,), ends=("t",)), seed=0)
    assert stream.step(np.zeros(2, int)).final_obs is None
    step = stream.step(np.zeros(2, int))
    assert [list(obs) for obs in step.final_obs] == [[0, 2], [0, 2]]
    assert stream.obs.tolist() == [[1, 0], [1, 0]]


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
def test_other_autoreset_modes_are_refused(mode):
    with pytest.raises(UserError, match="autoreset_mode of the vector environment is .* must be SAME_STEP"):
        EnvStream(SyncVectorEnv([environments.Counting], autoreset_mode=mode), seed=0)


def test_every_third_episode_of_environment_0_is_filmed(tmp_path):
    envs = make_vector_env("CartPole-v1", 2, VideoOptions(tmp_path / "videos"))
    stream = EnvStream(envs, seed=0)
    episodes = 0
    while episodes < 10:
        episodes += len(stream.step(np.array([1, 1])).episodes)
    envs.close()
    names = sorted(path.name for path in (tmp_path / "videos").glob("*.mp4"))
    assert names == ["rl-video-episode-0.mp4", "rl-video-episode-3.mp4"]
    assert all(path.stat().st_size > 1000 for path in (tmp_path / "videos").glob("*.mp4"))
