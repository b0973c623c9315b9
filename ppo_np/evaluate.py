"""Evaluate a trained policy: `python -m ppo_np.evaluate RUN_OR_FILE`."""

import ctypes
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from ppo_np.errors import UserError, check, require_extra
from ppo_np.logs.filenames import CHECKPOINT
from ppo_np.running import cli
from ppo_np.running.output import make_console, shows_bar


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Play episodes with a trained policy and report their returns. Greedy unless --stochastic."""

    checkpoint: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN_OR_FILE")]
    """A run folder, or a checkpoint file."""
    episodes: int = 100
    """Number of episodes to play."""
    seed: int = 10_000
    """Episode i starts from seed + i."""
    env_id: str | None = None
    """Environment to play in (default: the one it was trained in)."""
    env_kwargs: Annotated[tuple[str, ...] | None, tyro.conf.arg(metavar="[NAME=VALUE ...]")] = None
    """Keyword arguments of the environment: Python literals, all else is a string (default: those of the training)."""
    max_episode_steps: int | None = None
    """Steps after which an episode is cut off (default: that of the training, else 10,000)."""
    stochastic: bool = False
    """Draw actions from the policy's distribution instead of taking the most probable one."""
    json: bool = False
    """Print one JSON object instead of a table; what the environment prints goes to standard error."""
    video: Path | None = None
    """Film the first episode into this file (.mp4, .gif or .webm); needs the extra `video`."""

    def __post_init__(self) -> None:
        check(self.episodes >= 1, "episodes", self.episodes, "an integer >= 1")
        check(self.seed >= 0, "seed", self.seed, "an integer >= 0")
        steps = self.max_episode_steps
        check(steps is None or steps >= 1, "max_episode_steps", steps, "an integer >= 1")
        if self.video:
            require_extra("imageio_ffmpeg", "video", "--video")
            known = self.video.suffix in (".mp4", ".gif", ".webm")
            check(known, "video", str(self.video), "a file that ends in .mp4 or .gif or .webm")
            check(os.path.isdir(self.video.parent), "video", str(self.video), "in a folder that exists")
            check(not os.path.isdir(self.video), "video", str(self.video), "a file, not a folder")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, play the episodes, print the report, and return the exit code."""
    with cli.NUMBERS:
        options = tyro.cli(EvaluateOptions, args=arguments, prog="python -m ppo_np.evaluate")
    file = options.checkpoint / CHECKPOINT if os.path.isdir(options.checkpoint) else options.checkpoint
    if not os.path.isfile(file):
        given = str(options.checkpoint)
        raise UserError(f"RUN_OR_FILE is {given!r}, but it must be a run folder with a {CHECKPOINT} or such a file.")
    with _prints_to_stderr() if options.json else nullcontext():
        report = _evaluate(file, options)
    if report is None:
        return cli.INTERRUPTED
    print(json.dumps(report) if options.json else _as_text(report, options))
    if options.json and arguments is None:
        sys.stdout.flush()
        os.dup2(2, 1)  # for what a library prints at the end of the process
    return cli.DONE if report["episodes"] == options.episodes else cli.INTERRUPTED


def _evaluate(file: Path, options: EvaluateOptions) -> dict[str, Any] | None:
    """The report of `playback.evaluate`; progress goes to standard error. None at Ctrl-C if no episode has ended."""
    # Slow imports: here, they do not delay --help and error messages.
    from ppo_np.evaluation.episodes import Progress
    from ppo_np.evaluation.playback import evaluate

    console = make_console(stderr=True, soft_wrap=True)
    kwargs = None if options.env_kwargs is None else cli.keyword_arguments(options.env_kwargs)
    try:
        with ExitStack() as at_end:
            if shows_bar(console):
                status = at_end.enter_context(console.status("loading"))
                progress = Progress(status.update, options.episodes, seconds=0.2)
            else:
                progress = Progress(console.print, options.episodes, seconds=10)
            return evaluate(
                file, options.episodes, options.seed,
                env_id=options.env_id, env_kwargs=kwargs, deterministic=not options.stochastic,
                video=options.video, max_episode_steps=options.max_episode_steps, progress=progress,
            )  # fmt: skip
    except KeyboardInterrupt:
        print(f"interrupted in {progress}; no episode has ended", file=sys.stderr)
        return None


@contextmanager
def _prints_to_stderr() -> Iterator[None]:
    """A context in which everything that is printed, by Python or by C code, goes to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        with suppress(OSError, AttributeError):  # not on Windows
            ctypes.CDLL(None).fflush(None)  # C code has a buffer of its own
        os.dup2(kept, 1)
        os.close(kept)


def _as_text(report: dict[str, Any], options: EvaluateOptions) -> str:
    how = "stochastic" if options.stochastic else "greedy"
    count = f"{report['episodes']} ({how}, seeds from {options.seed})"
    if report["episodes"] < options.episodes:
        count += f", interrupted: {options.episodes} were asked for"
    limit = f"{report['max_episode_steps']:,} steps an episode (--max-episode-steps)"
    lines = [
        f"episodes         {count}",
        f"return           mean {report['mean_return']:.2f}, std {report['std_return']:.2f}, "
        f"min {report['min_return']:.2f}, max {report['max_return']:.2f}",
        f"length           mean {report['mean_length']:.1f}",
        f"limit            {limit}, reached by {report['episodes_at_limit']}",
    ]
    if report["reward_threshold"] is not None:
        lines.append(f"at threshold     {report['success_rate']:.0%} of episodes reach {report['reward_threshold']:g}")
    if report["video"]:
        lines.append(f"video            {report['video']}")
    return "\n".join(lines)


if __name__ == "__main__":
    cli.run(main)
