"""Films of episodes: numbered on when a run goes on, and no reason to end one."""

import gymnasium
import pytest

from ppo_np import UserError
from ppo_np.environments.env_restore import RestorePlan
from ppo_np.environments.film import Film, VideoOptions
from ppo_np.environments.guard import Guard


def filmed(folder, every=1):
    return Guard(Film(gymnasium.make("CartPole-v1", render_mode="rgb_array"), VideoOptions(folder, every)), 0)


def play(env, steps=3):
    for _ in range(steps):
        env.step(0)


def test_a_film_that_cannot_be_written_is_one_warning(tmp_path):
    env = filmed(tmp_path / "videos")
    env.reset(seed=0)
    play(env)
    (tmp_path / "videos").rmdir()
    with pytest.warns(RuntimeWarning, match=r"^a video cannot be written to .*videos: "):
        env.reset()
    play(env)
    env.reset()  # the second one in the same incident says nothing
    (tmp_path / "videos").mkdir()
    play(env)
    env.close()
    assert [path.name for path in (tmp_path / "videos").iterdir()] == ["rl-video-episode-2.mp4"]


def test_a_restored_environment_films_its_episode_whole_and_under_its_number(tmp_path):
    env = filmed(tmp_path, every=2)
    for seed in (0, None, None):
        env.reset(seed=seed)
        play(env)
    start = env.episode_start()
    assert start.episode == 3
    env.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rl-video-episode-0.mp4", "rl-video-episode-2.mp4"]
    whole = (tmp_path / "rl-video-episode-2.mp4").read_bytes()

    again = filmed(tmp_path, every=2)
    again.restore([RestorePlan(start, [0, 0, 0])])
    again.close()
    assert (tmp_path / "rl-video-episode-2.mp4").read_bytes() == whole


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"^The folder for videos, '.*', cannot be made: Not a directory\.$"):
        filmed(tmp_path / "file" / "videos")
