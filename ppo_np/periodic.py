"""Greedy evaluation during training, which keeps the best policy seen."""

import csv
from pathlib import Path

import gymnasium

from ppo_np.episodes import play_episode, statistics
from ppo_np.guard import Guard
from ppo_np.layout import BEST, EVALUATIONS
from ppo_np.logger import Metrics, TensorBoardLogger
from ppo_np.ppo import PPO

# Other episodes than the evaluate command's: on its own ones, the best of many policies is also the luckiest.
FIRST_SEED = 1_000_000
COLUMNS = ("mean_return", "std_return", "min_return", "max_return", "mean_length")


class PeriodicEvaluation:
    """Plays greedy episodes after some updates, in an environment of its own; training is not touched by it.

    Writes a row of evaluations.csv, TensorBoard scalars eval/..., and, whenever the mean return is higher than ever
    before, best.h5.

    Args:
        ppo: that is being trained.
        env: to play in; closed by `close`.
        folder: of the run.
        every: updates between two evaluations.
        episodes: to play each time, always from the same seeds.
    """

    def __init__(self, ppo: PPO, env: gymnasium.Env, folder: Path, every: int, episodes: int):
        self._env = Guard(env, 0)
        ppo.watch(self._env)
        self._folder, self._every, self._episodes = folder, every, episodes
        self._file = open(folder / EVALUATIONS, "w", newline="", buffering=1)  # noqa: SIM115  open as long as the run
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(("update", "step", "wall_time", "episodes", *COLUMNS, "best"))
        self.best_return = -float("inf")

    def after_update(self, ppo: PPO, metrics: Metrics, tensorboard: TensorBoardLogger) -> None:
        """Evaluate, if it is time: after every so many updates, and after the last one; not if `ppo` was stopped.

        Raises:
            EnvironmentFault: The environment failed, or did not answer in time.
        """
        last = metrics.step >= ppo.config.total_timesteps
        if metrics.update % self._every and not last:
            return
        seeds = range(FIRST_SEED, FIRST_SEED + self._episodes)
        played = [
            play_episode(self._env, ppo.policy, s, deterministic=True, stopped=lambda: ppo.stopped) for s in seeds
        ]
        if None in played:
            return
        report = statistics(played, None)
        best = report["mean_return"] > self.best_return
        if best:
            self.best_return = report["mean_return"]
            ppo.save(self._folder / BEST)
        numbers = [report[name] for name in COLUMNS]
        row = (metrics.update, metrics.step, metrics.wall_time, self._episodes, *numbers, int(best))
        self._writer.writerow(row)
        tensorboard.log_scalars("eval", dict(zip(COLUMNS, numbers, strict=True)), metrics.step)

    def close(self) -> None:
        """Close the environment and the file."""
        self._env.close()
        self._file.close()
