"""Ready-made callbacks for `PPO.learn`: `learn([StopAtReturn(475), SaveEvery(100)])`.

A callback is any function of the PPO and the metrics of the update that has just ended. If it returns False, training
stops there; None and True let it go on.
"""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from ppo_np.errors import check
from ppo_np.evaluation.episodes import evaluation_env
from ppo_np.evaluation.periodic import EVAL, NUMBERS, PeriodicEvaluation
from ppo_np.learning.metrics import Metrics
from ppo_np.logs.incidents import Incidents
from ppo_np.running.api import PPO

Factory = Callable[[], gymnasium.Env]


class StopAtReturn:
    """Stop when the mean return of the last 100 training episodes is at least `mean_return`.

    At least `min_episodes` must have ended. Rewards are not normalised.
    """

    def __init__(self, mean_return: float, min_episodes: int = 100):
        check(1 <= min_episodes <= 100, "min_episodes", min_episodes, "an integer from 1 to 100")
        self.mean_return, self.min_episodes = mean_return, min_episodes

    def __call__(self, ppo: PPO, metrics: Metrics) -> bool:
        """Whether training goes on."""
        episodes = ppo.recent_episodes
        if len(episodes) < self.min_episodes:
            return True
        return bool(np.mean([episode.episodic_return for episode in episodes]) < self.mean_return)


class SaveEvery:
    """Save the whole state after every `updates` updates: step_10240.h5 and so on; none of them is removed.

    Args:
        updates: from one file to the next.
        folder: for the files; None means checkpoints/ in the run folder.

    Raises UserError if there is no folder, and OSError if a file cannot be written.
    """

    def __init__(self, updates: int, folder: str | os.PathLike | None = None):
        check(isinstance(updates, int) and updates >= 1, "updates", updates, "an integer >= 1")
        self.updates, self.folder = updates, folder

    def __call__(self, ppo: PPO, metrics: Metrics) -> None:
        """Save if it is due."""
        if metrics.update % self.updates == 0:
            folder = _folder(ppo, self.folder, "SaveEvery", "checkpoints")
            folder.mkdir(parents=True, exist_ok=True)
            ppo.save(folder / f"step_{metrics.step}.h5")


class EvaluateEvery:
    """Play greedy episodes after every `updates` updates and after the last one, as `--eval-every` does.

    Writes evaluations.csv and best.h5, the policy with the highest mean return so far. eval/mean_return and so on
    become columns of metrics.csv and TensorBoard scalars. Training stays the same bit for bit. `ppo.close()` closes the
    environment, which has the attributes that it was made with, whatever `set_attr` has set.

    Args:
        updates, episodes: from one evaluation to the next; of each one, always with the same seeds.
        env: a function that makes the environment; needed if the training has no `env_id`.
        folder: for the files; None means the run folder.

    Attributes:
        best_return: the highest mean return so far; -inf before the first evaluation.
    """

    def __init__(
        self, updates: int, episodes: int = 10, env: Factory | None = None, folder: str | os.PathLike | None = None
    ):
        for name, value in (("updates", updates), ("episodes", episodes)):
            check(isinstance(value, int) and value >= 1, name, value, "an integer >= 1")
        check(env is None or callable(env), "env", env, "a function that makes a gymnasium.Env")
        self.updates, self.episodes, self.env, self.folder = updates, episodes, env, folder
        self.best_return = -np.inf
        self._evaluation: PeriodicEvaluation | None = None
        self._ppo: PPO | None = None

    def __call__(self, ppo: PPO, metrics: Metrics) -> None:
        """Evaluate if it is due."""
        if self._evaluation is None or ppo is not self._ppo:
            self._evaluation, self._ppo = self._start(ppo), ppo
        report = self._evaluation.after_update(ppo, None)
        self.best_return = self._evaluation.best_return
        if report:
            for name in NUMBERS:
                ppo.log(EVAL + name, report[name])

    def _start(self, ppo: PPO) -> PeriodicEvaluation:
        folder = _folder(ppo, self.folder, "EvaluateEvery")
        folder.mkdir(parents=True, exist_ok=True)
        check(bool(self.env or ppo.config.env_id), "env", self.env, "a function, as the training has no env_id")
        env = evaluation_env(ppo.config, factory=self.env)
        incidents = Incidents(lambda sentence: warnings.warn(sentence, RuntimeWarning, 2))
        return PeriodicEvaluation(ppo, env, folder, self.updates, self.episodes, incidents)


class SetAttribute:
    """Set an attribute of all environments after each update: a curriculum.

    Args:
        name: of the attribute, which the environments or one of their wrappers must have.
        value: a function of the share of the run that is done, from 0 to 1. The attribute is set when the value
            changes; before the first update it is what the environment has made it.

    It raises what `PPO.set_attr` raises. A resumed run has the last value, and goes on exactly.
    """

    def __init__(self, name: str, value: Callable[[float], Any]):
        check(callable(value), "value", value, "a function of the share of the run that is done")
        self.name, self.value = name, value
        self._last: Any = object()

    def __call__(self, ppo: PPO, metrics: Metrics) -> None:
        """Set the attribute if its value has changed."""
        value = self.value(min(1 - ppo.config.left_after(ppo.global_step), 1.0))
        if type(value) is not type(self._last) or value != self._last:
            ppo.set_attr(self.name, value)
            self._last = value


def _folder(ppo: PPO, folder: str | os.PathLike | None, who: str, inside: str = "") -> Path:
    """The folder that a callback was given, or the run folder."""
    if folder is None:
        check(ppo.run_dir is not None, "folder", folder, f"given to {who}, or learn must have a run_dir")
    return Path(folder) if folder is not None else Path(ppo.run_dir or "") / inside
