"""`ppo_np.PPO`, the class that users import: PPO, and the run folder and the settings that the train command has."""

import dataclasses
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Never, Self

import numpy as np
from gymnasium.vector import VectorEnv

from ppo_np.config import ARTICLE, PPOConfig
from ppo_np.distributed.ranks import ALONE, Ranks
from ppo_np.environments.attribute_changes import CALL, GET, SET
from ppo_np.environments.film import VideoOptions
from ppo_np.environments.make import EnvSource
from ppo_np.errors import UserError, check
from ppo_np.learning import ppo
from ppo_np.learning.callbacks import Callbacks, as_list
from ppo_np.running.chosen_settings import settings_for
from ppo_np.saving.checkpoint import Checkpoint
from ppo_np.schedules import Schedule
from ppo_np.setting_names import refuse_in_learn


class PPO(ppo.PPO):
    """PPO with hand-written gradients on a Gymnasium environment.

        PPO("CartPole-v1", learning_rate=1e-3).learn(run_dir="runs/cartpole", progress=True)
        PPO(PPOConfig(env_id="CartPole-v1", shared_sizes=(64, 64)))
        PPO(MyEnv)

    With which settings it begins, before the keyword arguments change them:

    - PPO(id), or PPO of another environment: as `python -m ppo_np.train --env-id` chooses them. An id that has a preset
      begins with that preset, everything else with generic-discrete or generic-continuous, by its spaces.
    - PPO(config, env): with `config`.
    - PPO() and PPO(env=...): with those of `PPOConfig()`, the article's.
    - preset="NAME" or "FILE.toml", without a `config`: with this preset.

    Args:
        config: the settings; or what to train on, as `env`.
        env: what to train on instead of `config.env_id`: an id, a function that makes a gymnasium.Env, a
            subclass of `CompiledEnv`, or a gymnasium.vector.VectorEnv, whose `num_envs` then holds.
        preset: see above.
        video: film episodes of environment 0.
        resume: a checkpoint of the same network and environment, from which training continues.
        ranks: processes that train together; each makes its own PPO with the same config and calls the same methods.
        init_from: a run folder or a checkpoint file. The new run begins with its weights and, with `norm_obs`, its
            statistics of the observations; all else, also Adam, begins anew.
        settings: fields of `PPOConfig`, which they replace.

    Attributes:
        preset: the preset with which the settings began.
        run_dir: the folder in which `learn` records, or has recorded last; None if there was none.
        config: the settings in force; its `env_id` is empty if `env` is a function or a VectorEnv.
        policy: the network, its spaces and the statistics of observations. A copy of it acts alone: `copy.deepcopy`.
            `policy.model.params`, the flat parameter vector, is less than that: it leaves the statistics out.
        state: everything that learning changes.
        own_envs: indices of the environments that this rank steps: all `config.num_envs` if there is one rank.
        reward_per_step: mean reward of the last rollout, before normalisation; NaN before the first one.
        lost_envs: indices of environments that `resume` could not restore; they have begun a new episode.

    Raises:
        UserError: An argument has the wrong type or name, the environment cannot be made, a space is not supported, or
            `resume` or `init_from` does not fit. Also raised by copying or pickling a PPO.
        EnvironmentFault: The first reset of an environment failed.
    """

    def __init__(
        self,
        config: PPOConfig | EnvSource = None,
        env: EnvSource = None,
        *,
        preset: str | None = None,
        video: VideoOptions | None = None,
        resume: Checkpoint | None = None,
        ranks: Ranks = ALONE,
        init_from: str | os.PathLike | None = None,
        **settings: Any,
    ):
        self.run_dir: Path | None = None
        if not isinstance(config, PPOConfig | None):
            example = 'PPO("CartPole-v1", learning_rate=1e-3)'
            known = isinstance(config, str | VectorEnv) or (callable(config) and config is not PPOConfig)
            allowed = f"a PPOConfig, or an environment alone, as in {example}"
            check(known and env is None, "config", config, allowed)
            env, config = config, None
            chosen, self.preset = settings_for(env, preset, settings)
        elif config is None:
            chosen, self.preset = settings_for(None, preset, settings)
        else:
            check(preset is None, "preset", preset, "left away with a config")
            chosen, self.preset = dataclasses.replace(config, **settings), ARTICLE
        super().__init__(chosen, env, video=video, resume=resume, ranks=ranks, init_from=init_from)
        self._init_from = None if init_from is None else os.fspath(init_from)

    def learn(
        self,
        callback: Callbacks = None,
        more_steps: int | None = None,
        *,
        run_dir: str | os.PathLike | None = None,
        progress: bool = False,
        checkpoint_every: str | None = None,
        log_every: int | None = None,
        **unknown: Never,
    ) -> Self:
        """Train until `config.total_timesteps` steps are done or it is stopped; then it can be called again.

        Args:
            callback: a function or a list of functions, called with this object and the metrics after each update. If
                one returns False, training stops there. `ppo_np.callbacks` has some.
            more_steps: first sets `config.total_timesteps` to the steps that are done and so many more; see
                `ppo_np.learning.ppo.PPO.learn` for what that means to schedules.
            run_dir: a folder for all that the train command leaves: config.json, metrics.csv, TensorBoard events,
                checkpoints, and a crash file if a number was not finite. It must be new or empty, or that of the run
                with which this object goes on: `PPO.load("runs/x").learn(run_dir="runs/x")`. If the environment has an
                id, `python -m ppo_np.train --resume` goes on with it, too. No other run can use the folder meanwhile.
            progress: show a progress bar, or a line every `log_every` updates where there is no terminal.
            checkpoint_every: updates ("100") or seconds ("30s", the default) between two checkpoints.
            log_every: 10 by default.
            unknown: none; other names, such as Stable-Baselines3's, are refused with a suggestion.

        Raises:
            UserError: An argument is wrong, the folder holds something else or is in use, or a schedule that is a
                function is missing or gives no number that is allowed.
            DivergedError: A parameter, an output of the network, a loss or a gradient is not finite.
            EnvironmentFault: An environment failed, or gave numbers that are not finite.
            SavingError: Training ended normally, but its last state is not on disk.
            RanksError: The ranks have different parameters.
        """
        for name in unknown:
            refuse_in_learn(name, self.config.to_dict())
        callbacks = as_list(callback)
        given = {"checkpoint_every": checkpoint_every, "log_every": log_every}
        options = {name: value for name, value in given.items() if value is not None}
        if more_steps is not None:
            self.extend(more_steps)
        if run_dir is None and not progress:
            return super().learn(callbacks)
        from ppo_np.running import python_run  # imports TensorBoard's parts

        if run_dir is None:
            python_run.learn_with_progress(self, callbacks, options)
        else:
            self.run_dir = Path(run_dir).absolute()
            began = {"preset": self.preset, "init_from": self._init_from}
            python_run.learn_in_folder(self, self.run_dir, began, callbacks, progress, options)
        return self

    @classmethod
    def load(
        cls, path: str | os.PathLike, env: EnvSource = None, ranks: Ranks = ALONE,
        schedules: Mapping[str, Schedule] | None = None,
    ) -> Self:  # fmt: skip
        """Rebuild the object from a file that `save` wrote, or from a run folder.

        `learn` then continues exactly where it stopped. Of a run folder it is the last checkpoint, or the one before if
        that is damaged. The rest is said at `OnPolicyAlgorithm.load`.

        Raises:
            UserError: There is no such file, it is not a checkpoint, or it does not fit its environment; or a name in
                `schedules` is not that of a schedule that was a function.
        """
        if os.path.isdir(path):
            from ppo_np.running.resume import read_run

            saved, damage = read_run(Path(path))
            if damage:
                warnings.warn(damage, RuntimeWarning, 2)
            if saved is None:
                raise UserError(f"path is {str(path)!r}, but that run ended before it had saved anything.")
            path = saved.path
        return super().load(path, env, ranks, schedules)

    def set_attr(self, name: str, value: Any) -> None:
        """Set an attribute of all environments, between two updates: in a callback, or before `learn`.

        It is set in the environment or in the outermost of its wrappers that has an attribute of this name. A value
        that is a Python literal (number, string, tuple, list, dict, ...) is saved: a resumed run sets it again at the
        same step, and goes on exactly. After other values, a resumed run warns. A NumPy number becomes a Python number.
        With several ranks, all of them must call this.

        Raises:
            UserError: The environments have no such attribute, or they are compiled or EnvPool's.
            EnvironmentFault: An environment raised an exception.
        """
        self.stream.ask(SET, name, (value.item() if isinstance(value, np.generic) else value,))

    def get_attr(self, name: str) -> list[Any]:
        """An attribute of each environment of this rank; raises as `set_attr`."""
        return self.stream.ask(GET, name)

    def env_method(self, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Call a method of each environment of this rank, and return the results.

        What the method changes is not repeated when the run is resumed: then a warning says that results can differ.
        Use `get_attr` for what is only read, and `set_attr` for what is to be exact. Raises as `set_attr`.
        """
        return self.stream.ask(CALL, name, args, kwargs)
