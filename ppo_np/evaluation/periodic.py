"""Greedy evaluation during training; the best policy is kept."""

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium

from ppo_np.environments.guard import Guard
from ppo_np.environments.stream import Episode
from ppo_np.evaluation.episodes import Progress, play_episode, statistics
from ppo_np.learning.ppo import PPO
from ppo_np.logs.csv_file import CSVLogger, number
from ppo_np.logs.filenames import BEST, EVALUATIONS
from ppo_np.logs.incidents import Incidents
from ppo_np.logs.logger import ConsoleLogger
from ppo_np.logs.tensorboard import EVENTS, TensorBoardLogger
from ppo_np.network.threads import blas_threads, limit_blas_threads
from ppo_np.saving.checkpoint import CheckpointFile, DamagedFileError, read_checkpoint

# The best of many policies is the best on these seeds partly by chance, so the evaluate command uses other seeds.
FIRST_SEED = 1_000_000
EVAL = "eval/"
NUMBERS = ("mean_return", "std_return", "min_return", "max_return", "mean_length")
COLUMNS = ("update", "step", "wall_time", "episodes", *NUMBERS, "best")


class PeriodicEvaluation:
    """Plays greedy episodes after some updates, in a separate environment. It does not influence training.

    Writes a row of evaluations.csv, TensorBoard scalars eval/..., and best.h5 if the mean return is the highest so far.
    Several ranks share the episodes.

    Args:
        ppo: the training to evaluate.
        env: the environment to play in; `close` closes it.
        folder: the run folder; its evaluations up to the present update are kept.
        every, episodes: updates between two evaluations, and episodes of one, always with the same seeds.
        incidents: records files that cannot be written.

    Attributes:
        log: evaluations.csv; None on ranks > 0.
        best_file: best.h5, which is to be synced with the logs.
        best_return: the highest mean return so far.
    """

    def __init__(self, ppo: PPO, env: gymnasium.Env, folder: Path, every: int, episodes: int, incidents: Incidents):
        self._env = Guard(env, 0, ppo.config.action_mask)
        self._guests = ppo.stream.guests
        self._guests.append(self._env)
        self._every, self._episodes = every, episodes
        self._folder, self._incidents = folder, incidents
        self.log = CSVLogger(folder / EVALUATIONS, COLUMNS, ppo.update) if ppo.ranks.rank == 0 else None
        self.best_file = CheckpointFile(folder / BEST)
        returns = {int(row["update"]): number(row, "mean_return") for row in (self.log.rows if self.log else [])}
        self._last, self.best_return = ppo.ranks.broadcast(
            lambda: (max(returns, default=0), _return_of_best(folder, returns))
        )

    def is_due(self, ppo: PPO) -> bool:
        """Whether the present update must still be evaluated: every so many updates, and after the last one."""
        last = ppo.global_step >= ppo.config.total_timesteps
        return ppo.update > self._last and (ppo.update % self._every == 0 or last)

    def after_update(
        self, ppo: PPO, tensorboard: TensorBoardLogger | None, screen: ConsoleLogger | None = None
    ) -> dict[str, Any] | None:
        """Evaluate if it is due, unless `ppo` is stopped meanwhile; all ranks must call this.

        Returns the statistics; None if it was not due or was stopped. The row of evaluations.csv is written last: if it
        is missing, a resumed run repeats the evaluation. `tensorboard` and `screen`, which shows the progress, may be
        None, as on ranks > 0. Raises EnvironmentFault as `play_episode`, or if the environment does not answer in time.
        """
        if not self.is_due(ppo):
            return None
        ranks = ppo.ranks
        blas = blas_threads(ppo.config, ppo.policy.observations.size, ranks)
        with limit_blas_threads(blas), ppo.stream.watched():  # a resumed run evaluates before it learns
            gathered = ranks.allgather(self._play(ppo, screen))
        played = [gathered[i % ranks.size][i // ranks.size] for i in range(self._episodes)]
        episodes = [episode for episode in played if episode is not None]
        if len(episodes) < len(played):
            if screen:
                screen.note(_so_far(episodes, self._episodes), lasting=True)
            return None
        self._last = ppo.update
        report = statistics(episodes, None)
        best = report["mean_return"] > self.best_return
        if best:
            self.best_return = report["mean_return"]
            with self._incidents.of(self._folder / BEST):
                checkpoint = ppo.resume_point.checkpoint(ppo.config, ranks)
                if ranks.rank == 0:
                    self.best_file.write(checkpoint)
        if self.log is None:
            return report
        numbers = [report[name] for name in NUMBERS]
        with self._incidents.of(EVENTS):
            if tensorboard:
                tensorboard.log_scalars({EVAL + name: report[name] for name in NUMBERS}, ppo.global_step)
        with self._incidents.of(self._folder / EVALUATIONS):
            self.log.log((ppo.update, ppo.global_step, ppo.state.wall_time, self._episodes, *numbers, int(best)))
        return report

    def _play(self, ppo: PPO, screen: ConsoleLogger | None) -> list[Episode | None]:
        """Play the episodes of this rank, each with its own seed; None stands for those that were stopped."""
        show, pause = (screen.note, screen.pause) if screen else (lambda text: None, math.inf)
        progress = Progress(show, self._episodes, pause)
        return [
            play_episode(
                self._env, ppo.policy, FIRST_SEED + i, deterministic=True,
                after_step=partial(progress.after_step, i + 1), stopped=lambda: ppo.stopped,
            )
            for i in range(self._episodes)[ppo.ranks.rank :: ppo.ranks.size]
        ]  # fmt: skip

    def close(self) -> None:
        """Close the environment, unless `PPO.close` has done so."""
        if self._env in self._guests:
            self._guests.remove(self._env)
            self._env.close()


def _so_far(episodes: list[Episode], wanted: int) -> str:
    """What an evaluation that was stopped has played."""
    mean = f", mean return {statistics(episodes, None)['mean_return']:.2f}" if episodes else ""
    return f"stopped after {len(episodes)} of {wanted} episodes{mean}; it is repeated when the run is resumed"


def _return_of_best(folder: Path, returns: Mapping[int, float]) -> float:
    """The mean return of the policy in best.h5, by the returns of updates; -inf if there is no such policy.

    Raises UserError if best.h5 cannot be read at present.
    """
    try:
        update = read_checkpoint(folder / BEST).counters["update"]
    except DamagedFileError:
        return -math.inf
    known = {number: mean for number, mean in returns.items() if math.isfinite(mean)}
    return known.get(update, max(known.values(), default=-math.inf))
