"""A model card for the Hugging Face hub: `python -m ppo_np.card RUN`. Nothing is uploaded."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ppo_np.errors import check, require_extra
from ppo_np.logs.filenames import CONFIG
from ppo_np.running import cli
from ppo_np.running.output import make_console


@dataclass(frozen=True, kw_only=True)
class CardOptions:
    """Evaluate a policy, and write what the Hugging Face hub expects: README.md, checkpoint.h5, config.json, a film.

    The policy is best.h5 of the run, else checkpoint.h5. Nothing is uploaded.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run folder."""
    out: Path | None = None
    """Folder to write; an earlier card in it is replaced (default: RUN/hub)."""
    episodes: int = 100
    """Greedy episodes to play."""
    seed: int = 10_000
    """Episode i starts from seed + i."""
    env_id: str | None = None
    """Environment to play in (default: the one it was trained in)."""
    video: bool = False
    """Film the first episode as replay.mp4, instead of the run's newest film; needs the extra `video`."""

    def __post_init__(self) -> None:
        check(self.episodes >= 1, "episodes", self.episodes, "an integer >= 1")
        check(self.seed >= 0, "seed", self.seed, "an integer >= 0")
        good = os.path.isfile(self.run / CONFIG)
        check(good, "RUN", str(self.run), f"a run folder with a readable {CONFIG}")
        if self.video:
            require_extra("imageio_ffmpeg", "video", "--video")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, evaluate, write the folder, print its files, and return the exit code."""
    with cli.NUMBERS:
        options = tyro.cli(CardOptions, args=arguments, prog="python -m ppo_np.card")
    # Slow imports: here, they do not delay --help and error messages.
    from ppo_np.evaluation.episodes import Progress
    from ppo_np.evaluation.playback import evaluate
    from ppo_np.reporting import card
    from ppo_np.reporting.groups import Run

    run, out = Run.read(options.run), options.out or options.run / "hub"
    policy = card.policy_file(options.run)
    card.check_target(out)
    video = out / f"{card.FILM}.mp4" if options.video else None
    if video:
        card.make_folder(out)
    progress = Progress(make_console(stderr=True, soft_wrap=True).print, options.episodes)
    report = evaluate(policy, options.episodes, options.seed, env_id=options.env_id, video=video, progress=progress)
    if report["episodes"] < options.episodes:
        raise KeyboardInterrupt
    card.make_folder(out)
    files = card.write_card(run, policy, options.env_id or run.config["env_id"], report, out)
    for path in card.local_paths(run):
        print(f"warning: {CONFIG} names a file of this machine, {path}: look at it before you upload.", file=sys.stderr)
    print(f"mean_reward      {card.mean_reward(report)}, {options.episodes} episodes")
    print("\n".join(f"{'written' if i == 0 else '':<17}{path}" for i, path in enumerate(files)))
    print(f"to upload        {card.upload_command(out)}")
    return cli.DONE


if __name__ == "__main__":
    cli.run(main)
