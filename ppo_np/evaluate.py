"""Evaluate a trained policy: `python -m ppo_np.evaluate RUN_OR_FILE`."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from ppo_np.errors import UserError, check, require_extra
from ppo_np.logs.filenames import CHECKPOINT
from ppo_np.running import cli


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
    stochastic: bool = False
    """Draw actions from the policy's distribution instead of taking the most probable one."""
    json: bool = False
    """Print one JSON object instead of a table."""
    video: Path | None = None
    """Film the first episode into this file (.mp4, .gif or .webm); needs the extra `video`."""

    def __post_init__(self) -> None:
        check(self.episodes >= 1, "episodes", self.episodes, "an integer >= 1")
        check(self.seed >= 0, "seed", self.seed, "an integer >= 0")
        if self.video:
            require_extra("moviepy", "video", "--video")
            known = self.video.suffix in (".mp4", ".gif", ".webm")
            check(known, "video", str(self.video), "a file that ends in .mp4 or .gif or .webm")
            check(os.path.isdir(self.video.parent), "video", str(self.video), "in a folder that exists")
            check(not os.path.isdir(self.video), "video", str(self.video), "a file, not a folder")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, play the episodes, print the report, and return the exit code."""
    options = tyro.cli(EvaluateOptions, args=arguments, prog="python -m ppo_np.evaluate")
    file = options.checkpoint / CHECKPOINT if os.path.isdir(options.checkpoint) else options.checkpoint
    if not os.path.isfile(file):
        given = str(options.checkpoint)
        raise UserError(f"RUN_OR_FILE is {given!r}, but it must be a run folder with a {CHECKPOINT} or such a file.")
    from ppo_np.evaluation.playback import evaluate  # slow: imported here, it does not delay --help and error messages

    report = evaluate(
        file, options.episodes, options.seed,
        env_id=options.env_id, deterministic=not options.stochastic, video=options.video,
    )  # fmt: skip
    print(json.dumps(report) if options.json else _as_text(report, options))
    return cli.DONE


def _as_text(report: dict[str, Any], options: EvaluateOptions) -> str:
    how = "stochastic" if options.stochastic else "greedy"
    lines = [
        f"episodes         {report['episodes']} ({how}, seeds from {options.seed})",
        f"return           mean {report['mean_return']:.2f}, std {report['std_return']:.2f}, "
        f"min {report['min_return']:.2f}, max {report['max_return']:.2f}",
        f"length           mean {report['mean_length']:.1f}",
    ]
    if report["reward_threshold"] is not None:
        lines.append(f"at threshold     {report['success_rate']:.0%} of episodes reach {report['reward_threshold']:g}")
    if options.video:
        lines.append(f"video            {options.video}")
    return "\n".join(lines)


if __name__ == "__main__":
    cli.run(main)
