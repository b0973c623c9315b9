"""Greedy evaluation during training; the best policy is kept."""

import math
from collections.abc import Mapping
from pathlib import Path

import gymnasium

from ppo_np.environments.guard import Guard
from ppo_np.evaluation.episodes import play_episode, statistics
from ppo_np.learning.ppo import PPO
from ppo_np.logs.csv_file import CSVLogger, number
from ppo_np.logs.filenames import BEST, EVALUATIONS
from ppo_np.logs.incidents import Incidents
from ppo_np.logs.tensorboard import EVENTS, TensorBoardLogger
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
        self._env = Guard(env, 0)
        ppo.stream.guests.append(self._env)
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

    def after_update(self, ppo: PPO, tensorboard: TensorBoardLogger | None) -> None:
        """Evaluate if it is due, unless `ppo` is stopped meanwhile; all ranks must call this.

        The row of evaluations.csv is written last: if it is missing, a resumed run repeats the evaluation.
        `tensorboard` is None on ranks > 0. Raises EnvironmentFault if the environment fails or does not answer in time.
        """
        if not self.is_due(ppo):
            return
        ranks = ppo.ranks
        seeds = range(FIRST_SEED, FIRST_SEED + self._episodes)
        own = [
            play_episode(self._env, ppo.policy, seed, deterministic=True, stopped=lambda: ppo.stopped)
            for seed in seeds[ranks.rank :: ranks.size]
        ]
        gathered = ranks.allgather(own)
        played = [gathered[i % ranks.size][i // ranks.size] for i in range(self._episodes)]
        episodes = [episode for episode in played if episode is not None]
        if len(episodes) < len(played):
            return
        self._last = ppo.update
        report = statistics(episodes, None)
        best = report["mean_return"] > self.best_return
        if best:
            self.best_return = report["mean_return"]
            with self._incidents.of(self._folder / BEST):
                checkpoint = ppo.resume_point.checkpoint(ppo.config, ranks)
                if ranks.rank == 0:
                    self.best_file.write(checkpoint)
        if tensorboard is None or self.log is None:
            return
        numbers = [report[name] for name in NUMBERS]
        with self._incidents.of(EVENTS):
            tensorboard.log_scalars({EVAL + name: report[name] for name in NUMBERS}, ppo.global_step)
        with self._incidents.of(self._folder / EVALUATIONS):
            self.log.log((ppo.update, ppo.global_step, ppo.state.wall_time, self._episodes, *numbers, int(best)))

    def close(self) -> None:
        """Close the environment."""
        self._env.close()


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
