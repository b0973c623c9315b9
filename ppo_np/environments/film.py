"""Videos of training episodes. A video that cannot be written does not stop the run."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import gymnasium
from gymnasium.wrappers import RecordVideo

from ppo_np.errors import UserError


@dataclass(frozen=True)
class VideoOptions:
    """Which episodes of environment 0 are filmed: 0, every, 2 * every, ... Each becomes an mp4 file in `folder`."""

    folder: Path
    every: int = 3

    def __post_init__(self) -> None:  # an environment may change the working directory
        object.__setattr__(self, "folder", Path(self.folder).absolute())


class Film(RecordVideo):
    """Gymnasium's RecordVideo, but a video that cannot be written causes a warning instead of an exception.

    The environment needs the render mode "rgb_array". The folder may hold videos already (of a run that is continued);
    raises UserError if it cannot be made.
    """

    def __init__(self, env: gymnasium.Env, video: VideoOptions):
        self._failed = False
        folder = str(video.folder)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*Overwriting existing videos")
            try:
                super().__init__(env, folder, lambda episode: episode % video.every == 0, disable_logger=True)
            except OSError as error:
                raise UserError(f"The folder for videos, {folder!r}, cannot be made: {error.strerror}.") from error

    def stop_recording(self) -> None:
        """Write the video. If that fails, warn, unless the video before failed as well."""
        try:
            super().stop_recording()
            self._failed = False
        except OSError as error:
            self.recorded_frames, self.recording = [], False
            if not self._failed:
                reason = " ".join(str(error).split())[:200]
                warnings.warn(f"a video cannot be written to {self.video_folder}: {reason}", RuntimeWarning, 2)
            self._failed = True


def set_film_episode(env: gymnasium.Env, episode: int) -> None:
    """Set the number of the next episode, counted from 1, if one of the environment's wrappers is a `Film`."""
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, Film):
            env.episode_id = episode - 2  # RecordVideo counts from 0, and `reset` adds 1
        env = env.env
