"""Films of training episodes, which may fail without taking the run with them."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import gymnasium
from gymnasium.wrappers import RecordVideo

from ppo_np.errors import UserError


@dataclass(frozen=True)
class VideoOptions:
    """Where the episodes of environment 0 are filmed, and how many of them.

    Attributes:
        folder: gets one mp4 for each filmed episode.
        every: film episodes 0, every, 2 * every, ...
    """

    folder: Path
    every: int = 3


class Film(RecordVideo):
    """Gymnasium's RecordVideo, but a film that cannot be written is a warning and not an exception.

    Args:
        env: with render mode "rgb_array".
        video: where to, and which episodes. The folder may hold films already: a run may be gone on with.

    Raises:
        UserError: The folder cannot be made.
    """

    def __init__(self, env: gymnasium.Env, video: VideoOptions):
        self._failed = False
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*Overwriting existing videos")
            try:
                super().__init__(
                    env, str(video.folder), lambda episode: episode % video.every == 0, disable_logger=True
                )
            except OSError as error:
                folder, reason = str(video.folder), error.strerror
                raise UserError(f"The folder for videos, {folder!r}, cannot be made: {reason}.") from error

    def stop_recording(self) -> None:
        """Write the film; the first one that cannot be written is told in a RuntimeWarning."""
        try:
            super().stop_recording()
        except OSError as error:
            self.recorded_frames, self.recording = [], False
            if not self._failed:
                reason = " ".join(str(error).split())[:200]
                warnings.warn(f"a film cannot be written to {self.video_folder}: {reason}", RuntimeWarning, 2)
            self._failed = True
        else:
            self._failed = False

    def set_next_episode(self, episode: int) -> None:
        """Let the next episode be number `episode`, counted from 1; films count from 0."""
        self.episode_id = episode - 2  # `reset` adds 1
