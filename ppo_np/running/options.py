"""Options of a training run: its settings, its files, and how often they are written."""

import dataclasses
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError, check, require_extra
from ppo_np.running import cli
from ppo_np.running.interval import Interval

PROGRAM = "python -m ppo_np.train"


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Train PPO with hand-written gradients. Without arguments: the article's run, LunarLander in 2,000,000 steps."""

    preset: str = "article"
    """Settings that other flags then change: a name or FILE.toml (default: that for --env-id, or for its actions)."""
    list_presets: bool = False
    """Only print the list of presets."""
    config: tyro.conf.OmitArgPrefixes[PPOConfig]
    run_dir: Path | None = None
    """Folder for all files of the run; must be new or empty (default: runs/<env>__<preset>__<seed>__<time>)."""
    capture_video: bool = False
    """Film episodes of environment 0 into <run-dir>/videos; needs the extra `video`."""
    video_every: int = 3
    """With --capture-video: episodes from one film to the next."""
    resume: Path | None = None
    """Continue a run: its folder, or a checkpoint file. --total-timesteps is then the number of steps to add."""
    override: bool = False
    """With --resume: let flags change how the run learns (learning rates, clip range, entropy, epochs, ...)."""
    init_from: Annotated[str | None, tyro.conf.arg(metavar="RUN_OR_FILE")] = None
    """Begin a new run with the weights, and the statistics of the observations, of a run folder or a checkpoint."""
    checkpoint_every: str = "30s"
    """Updates (100) or seconds (30s) between two checkpoints; the last two are kept."""
    eval_every: int = 0
    """Updates between two greedy evaluations; the best policy is kept as best.h5; 0 = no evaluation."""
    eval_episodes: int = 10
    """With --eval-every: episodes per evaluation."""
    eval_max_episode_steps: int | None = None
    """With --eval-every: steps after which an episode is cut off (default: that of the training, else 10,000)."""
    log_every: int = 10
    """Updates between two lines of output if it is not a terminal; a line shows means over the last 100 episodes."""
    track: Literal["wandb", "mlflow"] | None = None
    """Send the scalars to an experiment tracker as well; needs the extra of that name."""
    ranks: int | Literal["auto"] = 1
    """Processes that share environments and minibatches; auto = one per core; more than 1 need the extra `mpi`."""

    def __post_init__(self) -> None:
        Interval.parse(self.checkpoint_every)
        for name in ("video_every", "log_every", "eval_episodes"):
            check(getattr(self, name) >= 1, name, getattr(self, name), "an integer >= 1")
        steps = self.eval_max_episode_steps
        check(steps is None or steps >= 1, "eval_max_episode_steps", steps, "an integer >= 1")
        check(self.eval_every >= 0, "eval_every", self.eval_every, "an integer >= 0")
        check(self.ranks == "auto" or self.ranks >= 1, "ranks", self.ranks, "an integer >= 1, or auto")
        check(self.resume is not None or not self.override, "override", True, "given with --resume")
        if self.init_from is not None:
            object.__setattr__(self, "init_from", os.path.abspath(self.init_from))
        for name in ("run_dir", "resume"):  # an environment may change the working directory
            path = getattr(self, name)
            object.__setattr__(self, name, path and path.absolute())


@dataclass(frozen=True, kw_only=True)
class CloneOptions:
    """Train the network of a run to act as a dataset of demonstrations does (behaviour cloning).

    Of the settings it uses those of environment, network, distribution, normalised observations, seed, learning_rate
    with its schedule, max_grad_norm and Adam. The others are kept in the checkpoint for a run that goes on with them.
    """

    dataset: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")] = tyro.MISSING
    """An .npz file with observations, actions and, if wanted, episode_ends and action_masks; or a Minari dataset."""
    preset: str = "article"
    """Settings that other flags then change: a name or FILE.toml (default: that for --env-id, or for its actions)."""
    config: tyro.conf.OmitArgPrefixes[PPOConfig]
    epochs: int = 30
    """Passes over the rows to learn from."""
    minibatch_size: int = 64
    """Rows of a minibatch."""
    held_out: float = 0.1
    """Share of the episodes (of the rows, if the dataset has no episode_ends) that is only predicted, in [0, 0.9]."""
    run_dir: Path | None = None
    """Folder for the checkpoint; must be new or empty (default: runs/<env>__<preset>__<seed>__<time>)."""

    def __post_init__(self) -> None:
        check(1 <= self.epochs <= 1_000_000, "epochs", self.epochs, "an integer from 1 to 1000000")
        size = self.minibatch_size
        check(1 <= size <= 2**24, "minibatch_size", size, "an integer from 1 to 2**24")
        check(0 <= self.held_out <= 0.9, "held_out", self.held_out, "in [0, 0.9]")
        object.__setattr__(self, "run_dir", self.run_dir and self.run_dir.absolute())


def parse(arguments: Sequence[str]) -> TrainOptions:
    """Read the options from the command line. With --resume, the defaults are the options of the resumed run.

    Raises:
        UserError: A value is not allowed, or there is no such preset or run.
        SystemExit: A flag is unknown or malformed, or help was requested.
    """
    given = cli.partial_parser(PROGRAM, "--resume", "--total-timesteps").parse_known_args(arguments)[0]
    if given.resume is None:
        options = cli.parse_with_preset(TrainOptions, arguments, PROGRAM)
    else:
        options = _of_resumed_run(arguments, Path(given.resume), more=given.total_timesteps is not None)
    if options.capture_video:
        require_extra("imageio_ffmpeg", "video", "--capture-video")
    if options.track:
        require_extra(options.track, options.track, f"--track {options.track}")
    return options


def _of_resumed_run(arguments: Sequence[str], path: Path, more: bool) -> TrainOptions:
    from ppo_np.running import resume  # imports Gymnasium

    saved, _ = resume.read_run(path)
    kept = saved.config if saved else resume.config_of(path)
    if not kept.env_id:
        how = f"PPO.load({str(path)!r}, env).learn(run_dir=...)"
        raise UserError(f"resume is {str(path)!r}, but that run's env was given from Python: go on there with {how}.")
    default = TrainOptions(config=kept)
    for name, value in resume.options_of(resume.folder_of(path)).items():
        with suppress(UserError):  # config.json has been changed
            default = dataclasses.replace(default, **{name: value})
    options = cli.parse_from(default, arguments, PROGRAM)
    for name in ("preset", "init_from"):
        given, before = getattr(options, name), getattr(default, name)
        check(given == before, name, given, f"{before!r} {resume.AS_BEFORE}")
    done = saved.counters["global_step"] if saved else 0
    config = resume.extended(options.config, kept, done if more else None, options.override)
    return dataclasses.replace(options, config=config)
