"""Train PPO: `python -m ppo_np.train`. Without arguments this is the article's run on LunarLander."""

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from ppo_np.config import PPOConfig
from ppo_np.distributed import mpi
from ppo_np.distributed.lifeline import Lifeline
from ppo_np.distributed.ranks import NotSharedError, Ranks
from ppo_np.errors import UserError, check, require_extra
from ppo_np.running import cli
from ppo_np.running.interval import Interval
from ppo_np.running.signals import STOPPING_ALL, StopSignals

MODULE = "ppo_np.train"
PROGRAM = f"python -m {MODULE}"
PATIENCE = 8.0  # seconds for all ranks to stop together, after a signal to one of them


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Train PPO with hand-written gradients. Without arguments: the article's run, LunarLander in 2,000,000 steps."""

    preset: str = "article"
    """Named settings that other flags then change (default: the preset for --env-id if there is one, else article)."""
    list_presets: bool = False
    """Only print the presets."""
    config: tyro.conf.OmitArgPrefixes[PPOConfig]
    run_dir: Path | None = None
    """Folder for everything the run leaves; must be new or empty (default: runs/<env>__<preset>__<seed>__<time>)."""
    capture_video: bool = False
    """Film episodes of environment 0 into <run-dir>/videos; needs the extra `video`."""
    video_every: int = 3
    """With --capture-video: film every so many episodes."""
    resume: Path | None = None
    """Go on with a run: its folder, or a checkpoint file; --total-timesteps then is how many steps to add."""
    checkpoint_every: str = "30s"
    """Updates (100) or seconds (30s) between two checkpoints; the last one and the one before it are kept."""
    eval_every: int = 0
    """Updates between two greedy evaluations, after which the best policy is kept as best.h5; 0 = none."""
    eval_episodes: int = 10
    """With --eval-every: episodes of one evaluation."""
    log_every: int = 10
    """Updates between two lines of output when it is not a terminal; each shows means over the last 100 episodes."""
    ranks: int | Literal["auto"] = 1
    """Processes that share the environments and each minibatch; auto = one a core; more than 1 need the extra `mpi`."""

    def __post_init__(self):
        Interval.parse(self.checkpoint_every)
        for name in ("video_every", "log_every", "eval_episodes"):
            check(getattr(self, name) >= 1, name, getattr(self, name), "an integer >= 1")
        check(self.eval_every >= 0, "eval_every", self.eval_every, "an integer >= 0")
        check(self.ranks == "auto" or self.ranks >= 1, "ranks", self.ranks, "an integer >= 1, or auto")
        if self.capture_video:
            require_extra("moviepy", "video", "--capture-video")
        if self.run_dir and self.run_dir.exists():
            empty = self.run_dir.is_dir() and not any(self.run_dir.iterdir())
            check(empty, "run_dir", str(self.run_dir), "a new or an empty folder")


def parse(arguments: Sequence[str]) -> TrainOptions:
    """Options from the command line; those of the run that --resume names are its own, where no flag changes them.

    Raises:
        UserError: A value is not allowed, or there is no such preset or run.
        SystemExit: A flag is unknown or malformed, or help was asked for.
    """
    finder = cli.finder(PROGRAM, "--resume", "--total-timesteps")
    given = finder.parse_known_args(arguments)[0]
    if given.resume is None:
        return cli.parse_with_preset(TrainOptions, arguments, PROGRAM)
    from ppo_np.running import resume  # needs h5py

    path = Path(given.resume)
    saved, _ = resume.read_run(path)
    default = TrainOptions(config=saved.config, **resume.options_of(resume.folder_of(path)))
    options = cli.parse_from(default, arguments, PROGRAM)
    check(options.preset == default.preset, "preset", options.preset, f"{default.preset!r} as in the run that goes on")
    config = resume.extended(options.config, saved, more=given.total_timesteps is not None)
    return dataclasses.replace(options, config=config)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, train, report; the exit code is returned."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with StopSignals() as signals:
        ranks = mpi.world()
        if ranks.size == 1:
            return _run(arguments, signals, ranks)
        return _run_together(arguments, signals, ranks)


def _run(arguments: Sequence[str], signals: StopSignals, ranks: Ranks) -> int:
    options = ranks.share(lambda: parse(arguments))
    if options.list_presets:
        if ranks.rank == 0:
            print(cli.preset_list())
        return cli.DONE
    given = cli.finder(PROGRAM, "--ranks").parse_known_args(arguments)[0].ranks is not None
    asked = options.ranks if given or ranks.size == 1 else ranks.size
    number = ranks.share(lambda: mpi.wanted(asked, options.config.num_envs, ranks))
    if number > ranks.size:
        from ppo_np.running.launch import launch

        return launch(number, MODULE, arguments, signals)
    # Imported here so that --help and bad arguments are answered at once: Gymnasium and Numba take a second.
    from ppo_np.running.run import train

    return train(options, signals, ranks)


def _run_together(arguments: Sequence[str], signals: StopSignals, ranks: mpi.MPIRanks) -> int:
    """As one of several ranks; whatever goes wrong on one of them ends all, with one message."""
    lifeline = Lifeline(ranks)
    who = f"rank {ranks.rank}: "

    def stop_soon() -> None:
        text = f"error: {who}signal {signals.number} came, and the ranks could not stop together within {PATIENCE:g} s."
        lifeline.fail_after(PATIENCE, text, signals.exit_code)

    signals.on_stop, signals.message = stop_soon, STOPPING_ALL if ranks.rank == 0 else b""
    try:
        code = _run(arguments, signals, ranks)
    except NotSharedError as failure:
        code, text = cli.told(failure.__cause__) if ranks.rank == 0 else (0, "")
        if text:
            print(text, file=sys.stderr)
        code = ranks.share(lambda: code)
    except BaseException as error:
        mistake = ranks.rank == 0 and isinstance(error, UserError)  # of the user's, not of this rank
        code, text = cli.told(error, "" if mistake else who)
        lifeline.fail(text, code)
    lifeline.leave()
    return code


if __name__ == "__main__":
    cli.run(main)
