"""Films of episodes: whatever `render` and the disk do, the film is the only thing that can fail."""

import time
import warnings
import weakref

import gymnasium
import numpy as np
import pytest
from films import frames_of
from sample_environments import Screen

from ppo_np import UserError
from ppo_np.environments.env_restore import RestorePlan
from ppo_np.environments.film import Film, VideoOptions, frames_per_second
from ppo_np.environments.guard import Guard
from ppo_np.environments.watchdog import Watchdog

NAMES = [f"rl-video-episode-{episode}.mp4" for episode in range(4)]


def filmed(env, folder, every=1):
    video = VideoOptions(folder, every)
    video.make_folder()
    return Guard(Film(env, video.file), 0)


def cartpole(folder, every=1):
    return filmed(gymnasium.make("CartPole-v1", render_mode="rgb_array"), folder, every)


def play(env, steps=3):
    for _ in range(steps):
        env.step(0)


def film_of(env, folder, shape=(40, 60)):
    """The frames of the film of one episode of three steps, which causes no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = filmed(env, folder)
        env.reset(seed=0)
        play(env)
        env.close()
    return frames_of(folder / NAMES[0], *shape)


def full(value, shape=(40, 60, 3), dtype=np.uint8):
    return np.full(shape, value, dtype)


@pytest.mark.parametrize(
    ("frame", "colour"),
    [
        (full(200), 200),
        (full(200, (40, 60)), 200),
        (full(200, (40, 60, 1)), 200),
        (full(200, (40, 60, 4)), 200),
        (full(0.5, dtype=np.float32), 127),
        (full(0.5, (40, 60), np.float64), 127),
        (full(130.0, dtype=np.float64), 130),
        (full(300.0, dtype=np.float64), 255),
        (full(np.nan, dtype=np.float64), 0),
        (full(np.inf, dtype=np.float32), 255),
        (full(-20, dtype=np.int64), 0),
        (full(True, (40, 60), bool), 255),
        (full(200).tolist(), 200),
        (full(200)[::-1, ::-1], 200),
        (full(200, (41, 61, 3)), 200),
        (full(200, (1, 1, 3)), 200),
    ],
)
def test_every_image_becomes_a_frame(tmp_path, frame, colour):
    even = [length + length % 2 for length in np.shape(frame)[:2]]
    frames = film_of(Screen(lambda step: frame), tmp_path, even)
    assert len(frames) == 4
    assert np.abs(frames.astype(int) - colour).max() <= 3  # the codec is lossy


def test_frames_of_another_size_are_scaled(tmp_path):
    """Also the marked half stays where it was."""

    def frame(step):
        image = full(0, (40 + 7 * step, 60 + 10 * step, 3))
        image[: len(image) // 2] = 250
        return image

    frames = film_of(Screen(frame), tmp_path).astype(int)
    assert len(frames) == 4
    assert (frames[:, :17] > 200).all()
    assert (frames[:, 23:] < 50).all()


def test_a_reused_buffer_is_copied_and_frames_are_not_kept(tmp_path):
    buffer, given = full(0), []

    def frame(step):
        buffer[:] = 60 * step
        if step % 2:
            return buffer
        fresh = buffer.copy()
        given.append(weakref.ref(fresh))
        return fresh

    frames = film_of(Screen(frame), tmp_path)
    assert np.abs(frames.mean(axis=(1, 2, 3)) - [0, 60, 120, 180]).max() <= 3
    assert [ref() for ref in given] == [None, None]

    env = filmed(Screen(frame), tmp_path)
    env.reset()
    play(env, steps=2)
    assert [ref() for ref in given[2:]] == [None, None]  # while the episode goes on
    env.close()


@pytest.mark.parametrize(
    ("given", "fps"),
    [
        ({}, 30), ({"render_fps": None}, 30), ({"render_fps": 0}, 30), ({"render_fps": -5}, 30),
        ({"render_fps": "fast"}, 30), ({"render_fps": "50"}, 50), ({"render_fps": float("nan")}, 30),
        ({"render_fps": float("inf")}, 30), ({"render_fps": 10**400}, 30), ({"render_fps": [30]}, 30),
        ({"render_fps": 12.5}, 12.5), ({"render_fps": np.int64(4)}, 4),
    ],
)  # fmt: skip
def test_the_frame_rate_is_the_declared_one_or_30(given, fps):
    assert frames_per_second(given) == fps


def failing(error):
    def frame(step):
        if step >= 2:
            raise error
        return full(200)

    return frame


@pytest.mark.parametrize(
    ("frame", "reason", "filmed_frames"),
    [
        (lambda step: None, "render gave a frame of NoneType, but it must be of shape", 0),
        (lambda step: "a frame", "render gave a frame of str", 0),
        (lambda step: full(1, (3, 40, 60)), r"render gave a frame of shape \(3, 40, 60\) and type uint8", 0),
        (lambda step: full(1, (0, 60, 3)), r"render gave a frame of shape \(0, 60, 3\)", 0),
        (lambda step: full(1j, dtype=complex), "type complex128", 0),
        (lambda step: [[1], [1, 2]], "inhomogeneous", 0),
        (failing(RuntimeError("no display")), "render raised RuntimeError: no display", 2),
        (failing(SystemExit(1)), "render raised SystemExit: 1", 2),
    ],
)
def test_a_film_that_fails_is_one_warning(tmp_path, frame, reason, filmed_frames):
    env = filmed(Screen(frame), tmp_path)
    with pytest.warns(RuntimeWarning, match=f"^a video cannot be written to .*{NAMES[0]}: .*{reason}") as warned:
        for _ in range(3):
            env.reset()
            play(env)
        env.close()
    assert len(warned) == 1
    assert env.calls == 12
    assert [path.name for path in sorted(tmp_path.iterdir())] == NAMES[: 3 if filmed_frames else 0]
    if filmed_frames:
        assert len(frames_of(tmp_path / NAMES[0], 40, 60)) == filmed_frames


def test_a_render_that_hangs_ends_only_the_film(tmp_path):
    env = filmed(Screen(lambda step: time.sleep(60) if step == 2 else full(200)), tmp_path)
    env.reset()
    play(env, steps=1)
    watchdog = Watchdog(0.4, lambda: env.calls if env.busy else None, lambda: "environment 0")
    with watchdog, pytest.warns(RuntimeWarning, match="environment 0 did not answer within 0.4 s"):
        play(env, steps=2)
    env.close()
    assert env.unwrapped.count == 3


def test_a_disk_that_fails_is_one_warning_and_the_older_film_stays(tmp_path, monkeypatch):
    folder = tmp_path / "videos"
    env = cartpole(folder)
    (folder / NAMES[0]).write_text("an older film")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.warns(RuntimeWarning, match=r"^a video cannot be written to .*videos.*: .*No space") as warned:
        for _ in range(3):  # those after the first one say nothing
            env.reset(seed=0)
            play(env, steps=1)
        env.reset()
    assert len(warned) == 1
    assert [path.read_text() for path in folder.glob("[!.]*")] == ["an older film"]
    monkeypatch.undo()
    play(env)
    env.close()
    assert sorted(path.name for path in folder.iterdir()) == [NAMES[0], NAMES[3]]


def test_an_encoder_that_cannot_work_is_one_warning(tmp_path, monkeypatch):
    for executable in ("/no/such/ffmpeg", "/bin/false"):
        monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", executable)
        env = filmed(Screen(lambda step: full(200, (400, 600, 3))), tmp_path)
        with pytest.warns(RuntimeWarning, match="^a video cannot be written to") as warned:
            env.reset()
            play(env)
            env.close()
        assert len(warned) == 1
        assert list(tmp_path.iterdir()) == []


def test_a_restored_environment_films_its_episode_whole_and_under_its_number(tmp_path):
    env = cartpole(tmp_path, every=2)
    for seed in (0, None, None):
        env.reset(seed=seed)
        play(env)
    start = env.episode_start()
    assert start.episode == 3
    env.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAMES[0], NAMES[2]]
    whole = (tmp_path / NAMES[2]).read_bytes()

    again = cartpole(tmp_path, every=2)
    again.restore([RestorePlan(start, [0, 0, 0])])
    again.close()
    assert (tmp_path / NAMES[2]).read_bytes() == whole


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"^The folder for videos, '.*', cannot be made: Not a directory\.$"):
        cartpole(tmp_path / "file" / "videos")
