"""Greedy evaluation during training, which keeps the best policy seen."""

from pathlib import Path

import gymnasium

from ppo_np.environments.guard import Guard
from ppo_np.evaluation.episodes import play_episode, statistics
from ppo_np.learning.ppo import PPO
from ppo_np.logs.filenames import BEST, EVALUATIONS
from ppo_np.logs.incidents import Incidents
from ppo_np.logs.logger import CSVLogger
from ppo_np.logs.tensorboard import EVENTS, TensorBoardLogger

# Other episodes than the evaluate command's: on its own ones, the best of many policies is also the luckiest.
FIRST_SEED = 1_000_000
EVAL = "eval/"
NUMBERS = ("mean_return", "std_return", "min_return", "max_return", "mean_length")
COLUMNS = ("update", "step", "wall_time", "episodes", *NUMBERS, "best")


class PeriodicEvaluation:
    """Plays greedy episodes after some updates, in an environment of its own; training is not touched by it.

    Writes a row of evaluations.csv, TensorBoard scalars eval/..., and, whenever the mean return is higher than ever
    before, best.h5. Several ranks share the episodes.

    Args:
        ppo: that is being trained.
        env: to play in; closed by `close`.
        folder: of the run; evaluations that it has already, up to the present update, are gone on with.
        every: updates between two evaluations.
        episodes: to play each time, always from the same seeds.
        incidents: files that cannot be written are told to.

    Attributes:
        log: of evaluations.csv; None on other ranks than 0.
        best_return: the highest mean so far.
    """

    def __init__(
        self, ppo: PPO, env: gymnasium.Env, folder: Path, every: int, episodes: int, incidents: Incidents
    ):  # fmt: skip
        self._env = Guard(env, 0)
        ppo.stream.guests.append(self._env)
        self._folder, self._every, self._episodes, self._incidents = folder, every, episodes, incidents
        self.log = CSVLogger(folder / EVALUATIONS, COLUMNS, ppo.update) if ppo.ranks.rank == 0 else None
        done = ppo.ranks.broadcast(lambda: [dict(zip(COLUMNS, row, strict=True)) for row in self.log.rows])
        self._last = int(done[-1]["update"]) if done else 0
        self.best_return = max((float(row["mean_return"]) for row in done), default=-float("inf"))

    def is_due(self, ppo: PPO) -> bool:
        """Whether it is time: after every so many updates, and after the last one, once each."""
        last = ppo.global_step >= ppo.config.total_timesteps
        return ppo.update > self._last and (ppo.update % self._every == 0 or last)

    def after_update(self, ppo: PPO, tensorboard: TensorBoardLogger | None) -> None:
        """Evaluate, if it is time; not if `ppo` was stopped.

        The row of evaluations.csv comes last: without it, the evaluation is done again by a run that goes on.

        Args:
            ppo: as given to `__init__`; all ranks must call this.
            tensorboard: gets the scalars; None on other ranks than 0.

        Raises:
            EnvironmentFault: The environment failed, or did not answer in time.
        """
        if not self.is_due(ppo):
            return
        ranks, seeds = ppo.ranks, range(FIRST_SEED, FIRST_SEED + self._episodes)
        own = [
            play_episode(self._env, ppo.policy, s, deterministic=True, stopped=lambda: ppo.stopped)
            for s in seeds[ranks.rank :: ranks.size]
        ]
        everyone = ranks.allgather(own)
        played = [everyone[i % ranks.size][i // ranks.size] for i in range(self._episodes)]
        if None in played:
            return
        self._last = ppo.update
        report = statistics(played, None)
        best = report["mean_return"] > self.best_return
        if best:
            self.best_return = report["mean_return"]
            with self._incidents.of(self._folder / BEST):
                ppo.save(self._folder / BEST)
        if ranks.rank:
            return
        numbers = [report[name] for name in NUMBERS]
        with self._incidents.of(EVENTS):
            tensorboard.log_scalars({EVAL + k: v for k, v in zip(NUMBERS, numbers, strict=True)}, ppo.global_step)
        with self._incidents.of(self._folder / EVALUATIONS):
            self.log.log((ppo.update, ppo.global_step, ppo.state.wall_time, self._episodes, *numbers, int(best)))

    def close(self) -> None:
        """Close the environment."""
        self._env.close()
