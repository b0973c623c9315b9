"""Films of episodes, encoded while the episodes are played. A film that fails is a warning and ends nothing else."""

import os
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from ppo_np.errors import UserError

RENDER_MODE = "rgb_array"
USUAL_FPS = 30.0
ENCODER_TIMEOUT = 60.0  # seconds for the encoder to finish a film after its last frame
# A palette for each frame: a palette for the whole film would need all frames at once.
GIF_PALETTES = "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1"
CODECS = {
    ".mp4": ("-vcodec", "libx264", "-pix_fmt", "yuv420p"),
    ".webm": ("-vcodec", "libvpx", "-crf", "10", "-b:v", "1M", "-cpu-used", "4", "-pix_fmt", "yuv420p"),
    ".gif": ("-filter_complex", GIF_PALETTES),
}


@dataclass(frozen=True)
class VideoOptions:
    """Which episodes of environment 0 are filmed: 0, every, 2 * every, ... Each becomes an mp4 file in `folder`."""

    folder: Path
    every: int = 3

    def __post_init__(self) -> None:  # an environment may change the working directory
        object.__setattr__(self, "folder", Path(self.folder).absolute())

    def make_folder(self) -> None:
        """Make the folder, which may hold videos already (of a run that is continued); raises UserError if it fails."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            given = str(self.folder)
            raise UserError(f"The folder for videos, {given!r}, cannot be made: {error.strerror}.") from error

    def file(self, episode: int) -> Path | None:
        """The file for an episode, counted from 0; None if it is not filmed."""
        return None if episode % self.every else self.folder / f"rl-video-episode-{episode}.mp4"


class Film(gymnasium.Wrapper):
    """Films episodes of an environment with the render mode "rgb_array"; changes nothing else.

    If a film cannot be continued, because of the environment's `render` or of the disk, it ends with what it has, and a
    RuntimeWarning says why, unless the film before failed as well.

    Args:
        env: the environment.
        file_of: the file for an episode, counted from 0; None if it is not filmed.

    Attributes:
        episode: number of the present episode, counted from 0.
        failure: why the latest film is not whole; empty if it is.
    """

    def __init__(self, env: gymnasium.Env, file_of: Callable[[int], Path | None]):
        super().__init__(env)
        self.episode = -1
        self.failure = ""
        self._file_of = file_of
        self._writer: FilmWriter | None = None

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """As the environment's; the film of the last episode ends, and that of the next one may begin."""
        self._finish()
        obs, info = self.env.reset(**kwargs)
        self.episode += 1
        path = self._file_of(self.episode)
        if path:
            self._writer = FilmWriter(path, frames_per_second(self.env.metadata))
            self._add_frame()
        return obs, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """As the environment's."""
        result = self.env.step(action)
        if self._writer:
            self._add_frame()
        return result

    def close(self) -> None:
        """End the film and close the environment."""
        self._finish()
        self.env.close()

    def _add_frame(self) -> None:
        """Film the present state. Also a `render` that hangs and is interrupted by a Watchdog ends only the film."""
        assert self._writer
        try:
            frame = self.env.render()
        except (Exception, SystemExit) as error:
            self._finish(f"render raised {type(error).__name__}: {error}")
            return
        try:
            self._writer.add(frame)
        except Exception as error:
            self._finish(str(error))

    def _finish(self, failure: str = "") -> None:
        """End the film, if there is one; `failure` says why it is not whole."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.close()
        except Exception as error:
            failure = failure or str(error) or type(error).__name__
        if failure and not self.failure:
            reason = " ".join(failure.split())[:200]
            warnings.warn(f"a video cannot be written to {writer.path}: {reason}", RuntimeWarning, 2)
        self.failure = failure


class FilmWriter:
    """Encodes a film while its frames come: each frame is given to the encoder at once and not kept.

    The film is complete in its file or not there at all: an older file is replaced when the film is closed.

    Args:
        path: of the film; its suffix, one of `CODECS`, gives the format.
        fps: frames per second.
    """

    def __init__(self, path: Path, fps: float):
        self.path = path.absolute()
        self._part = self.path.with_name(f".{path.stem}.part{path.suffix}")
        self._fps = fps
        self._encoder: subprocess.Popen[bytes] | None = None
        self._height = self._width = 0

    def add(self, frame: Any) -> None:
        """Write a frame, see `as_rgb`; all get the size of the first one, made even, which most players need.

        Raises ValueError if it is not an image, and OSError if it cannot be encoded or written.
        """
        image = as_rgb(frame)
        if self._encoder is None:
            self._height, self._width = (length + length % 2 for length in image.shape[:2])
            self._encoder = self._start()
        if image.shape[:2] != (self._height, self._width):
            rows = np.arange(self._height) * image.shape[0] // self._height
            columns = np.arange(self._width) * image.shape[1] // self._width
            image = image[rows][:, columns]
        assert self._encoder.stdin
        try:
            self._encoder.stdin.write(image.tobytes())
        except OSError as error:
            raise OSError(self._complaint() or str(error)) from error

    def close(self) -> None:
        """Complete the file; without any frame there is none. Raises OSError if that fails."""
        encoder, self._encoder = self._encoder, None
        if encoder is None:
            return
        assert encoder.stdin
        try:
            with suppress(OSError):  # the encoder has ended; its exit code tells more
                encoder.stdin.close()
            if encoder.wait(ENCODER_TIMEOUT):
                raise OSError(self._complaint() or f"ffmpeg ended with exit code {encoder.returncode}")
            os.replace(self._part, self.path)
        finally:
            encoder.kill()
            encoder.wait()
            self._errors.close()
            with suppress(OSError):
                self._part.unlink(missing_ok=True)

    def _start(self) -> "subprocess.Popen[bytes]":
        from imageio_ffmpeg import get_ffmpeg_exe  # an optional dependency

        size = f"{self._width}x{self._height}"
        command = [
            get_ffmpeg_exe(), "-y", "-loglevel", "error",
            "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", f"{self._fps:g}", "-i", "pipe:0",
            *CODECS[self.path.suffix], f"file:{self._part}",
        ]  # fmt: skip
        with ExitStack() as on_error:
            # Not a pipe, which could fill up and stop the encoder.
            self._errors = on_error.enter_context(tempfile.TemporaryFile())
            encoder = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._errors,
                process_group=0,  # Ctrl-C in a terminal must not end the encoder before its last frame
            )  # fmt: skip
            on_error.pop_all()
        return encoder

    def _complaint(self) -> str:
        """The last line that the encoder has written."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip().rpartition("\n")[2]


def as_rgb(frame: Any) -> np.ndarray:
    """A rendered frame as (H, W, 3) uint8.

    Args:
        frame: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4, the last one is ignored). Floats are in [0, 1] if none is
            larger, otherwise in [0, 255].

    Raises ValueError if it is something else.
    """
    image = np.asarray(frame)
    if image.ndim == 2:
        image = image[..., np.newaxis]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or image.dtype.kind not in "buif" or not image.size:
        given = f"shape {image.shape} and type {image.dtype}" if image.ndim else type(frame).__name__
        raise ValueError(f"render gave a frame of {given}, but it must be of shape (H, W, 3) and type uint8")
    image = np.broadcast_to(image[..., :3], (*image.shape[:2], 3))
    if image.dtype == np.uint8:
        return image
    image = np.nan_to_num(image)
    if image.dtype.kind == "b" or (image.dtype.kind == "f" and image.max() <= 1):
        image = image * 255.0
    return image.clip(0, 255).astype(np.uint8)


def frames_per_second(metadata: Mapping[str, Any]) -> float:
    """The frame rate that an environment declares; 30, as in Gymnasium's films, if that is not a usable number."""
    try:
        fps = float(metadata["render_fps"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return USUAL_FPS
    return fps if 0.01 <= fps <= 1000 else USUAL_FPS


def set_film_episode(env: gymnasium.Env, episode: int) -> None:
    """Set the number of the next episode, counted from 1, if one of the environment's wrappers is a `Film`."""
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, Film):
            env.episode = episode - 2  # a film counts from 0, and `reset` adds 1
        env = env.env
