"""What an on-policy algorithm has around its training loop: environments, state and workspace; predict, save, load."""

import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from os import PathLike
from typing import Any, NoReturn, Self

import numpy as np

from ppo_np.config import PPOConfig
from ppo_np.distributed.ranks import ALONE, Ranks
from ppo_np.environments.compiled_stream import stream_of
from ppo_np.environments.film import VideoOptions
from ppo_np.environments.guard import close_all
from ppo_np.environments.make import EnvSource, close_environments, open_environments
from ppo_np.environments.stream import Episode
from ppo_np.environments.wrapping import far_box_warning
from ppo_np.errors import UserError, check
from ppo_np.learning.callbacks import Callback, LoggedValues, run_callbacks
from ppo_np.learning.cloning import CloningTerm
from ppo_np.learning.compiled_update import CompiledMinibatches
from ppo_np.learning.divergence import DivergenceCheck
from ppo_np.learning.metrics import Metrics
from ppo_np.learning.minibatches import MinibatchSampler
from ppo_np.learning.normalizer import RewardScaler
from ppo_np.learning.policy import Policy
from ppo_np.learning.resume_point import ResumePoint, changes_warning, lost_environments_warning, restore_environments
from ppo_np.learning.rollout import RolloutBuffer, RolloutReport
from ppo_np.network.blocks import BlockedGradient
from ppo_np.network.optimizer import Optimizer
from ppo_np.network.summed_gradient import SummedGradient
from ppo_np.network.threads import is_wide, threads
from ppo_np.saving.checkpoint import Checkpoint, another_seed, read_checkpoint, restore, write_checkpoint
from ppo_np.saving.foreign import foreign_code
from ppo_np.saving.training_state import RNGS, TrainingState
from ppo_np.saving.warm_start import copy_start, read_start
from ppo_np.schedules import Schedule, is_function


class OnPolicyAlgorithm:
    """An algorithm that learns from rollouts of its current policy. See `PPO` for arguments and attributes."""

    def __init__(
        self,
        config: PPOConfig | None = None,
        env: EnvSource = None,
        *,
        video: VideoOptions | None = None,
        resume: Checkpoint | None = None,
        ranks: Ranks = ALONE,
        init_from: str | PathLike | None = None,
    ):
        example = 'PPO(PPOConfig(env_id="CartPole-v1"))'
        check(config is None or isinstance(config, PPOConfig), "config", config, f"a PPOConfig, as in {example}")
        check(video is None or isinstance(video, VideoOptions), "video", video, "a VideoOptions")
        check(resume is None or isinstance(resume, Checkpoint), "resume", resume, "a Checkpoint; PPO.load reads a file")
        check(init_from is None or not resume, "init_from", init_from, "None with resume, which has weights of its own")
        allowed = "a run folder or a checkpoint file"
        check(init_from is None or isinstance(init_from, str | PathLike), "init_from", init_from, allowed)
        check(isinstance(ranks, Ranks), "ranks", ranks, "what ppo_np.distributed.mpi.world() returns")
        self.ranks = ranks
        seed = another_seed(resume) if resume else None
        self.config, self.envs = config, envs = open_environments(config or PPOConfig(), env, video, seed, ranks)
        with ExitStack() as on_error:
            on_error.callback(close_environments, envs)
            self.own_envs = ranks.envs(config.num_envs)
            weights_rng, *rngs = map(np.random.default_rng, np.random.SeedSequence(config.seed).spawn(4))
            spaces = envs.single_observation_space, envs.single_action_space
            if (warning := far_box_warning(spaces[1], config)) and not resume and ranks.rank == 0:
                warnings.warn(warning, RuntimeWarning, 3)
            self.policy = Policy(*spaces, config, None)
            self.reward_scaler = RewardScaler(len(self.own_envs), config.gamma) if config.norm_reward else None
            model, statistics = self.policy.model, {"obs": self.policy.obs_moments, "reward": self.reward_scaler}
            self.state = TrainingState(
                model=model,
                optimizer=Optimizer(model.params, model.grads, config, model.value_start),
                normalizers={name: normalizer for name, normalizer in statistics.items() if normalizer},
                rngs=dict(zip(RNGS, rngs, strict=True)),
                adaptive_lr=None if config.kl_adaptive_lr is None else config.learning_rate,
            )
            self.logged = LoggedValues(config.info_keys, quiet=ranks.rank > 0)
            masks, keys = config.action_mask, config.info_keys
            self.stream = stream_of(envs, config.env_timeout, self.own_envs.start, masks, keys)
            self.resume_point = ResumePoint(self.stream, self.policy, self.state)
            self.lost_envs: list[int] = []
            self._allocate()
            self._scheduled: PPOConfig | None = None
            self._cloning: CloningTerm | None = None
            if not resume:
                model.initialize(weights_rng, config.log_std_init)
                self.load_schedules()
            if init_from is not None:
                path = init_from
                copy_start(ranks.broadcast(lambda: read_start(path)), self.state, config)
            if resume:
                restore(self.state, resume, config.num_envs, ranks)
                parts = self.stream, self.policy, self.state
                self.lost_envs = restore_environments(*parts, resume, config.num_envs, ranks)
            else:
                self.stream.reset(config.seed)
            self.resume_point.rollout_start()
            on_error.pop_all()
        self._stopped = False
        self.reward_per_step = float("nan")

    def __getstate__(self) -> NoReturn:
        """Refuse copies and pickles."""
        raise UserError(
            f"A {type(self).__name__} cannot be copied or pickled, because it owns environments and threads: "
            "save it to a file and load that, or copy its policy."
        )

    def _allocate(self) -> None:
        """Preallocate all arrays that training needs."""
        config, ranks, policy = self.config, self.ranks, self.policy
        self._report = RolloutReport()
        self._buffer = RolloutBuffer(config.num_steps, len(self.own_envs), policy)
        self._workspace = policy.workspace(len(self.own_envs))
        self._sampler = MinibatchSampler(ranks, config.num_steps, config.num_envs)
        arguments = policy.model, threads(config, ranks), is_wide(config, policy.observations.size)
        self._gradient = BlockedGradient(*arguments) if ranks.size == 1 else SummedGradient(*arguments, ranks)
        self._divergence = DivergenceCheck(self.state, policy, self._buffer, self.resume_point, ranks)
        parts = policy, self._buffer, self._gradient, self.state.optimizer, self._divergence
        self._compiled = CompiledMinibatches.of(*parts)

    def load_schedules(self) -> None:
        """Run the files with the functions of schedules, on rank 0, and read the demonstrations of the cloning term.

        `learn` does it by itself if nobody has.

        Raises:
            UserError: There is no such file or function, or a function was not given again; with several ranks this is
                the cause of a NotSharedError on rank 0. Or the demonstrations do not fit, or there are several ranks.
        """
        if self.config.bc_coef and self._cloning is None:
            check(self.ranks.size == 1, "bc_coef", self.config.bc_coef, "0 with several ranks")
            self._cloning = CloningTerm.of(self.config, self.policy, self.state.rngs["minibatch_rng"])
        if self._scheduled is None and self._calls_functions:
            self.ranks.broadcast(self._load_functions)
            self._scheduled = self._scheduled or self.config

    def _load_functions(self) -> None:
        self._scheduled = self.config.with_functions()

    @property
    def _calls_functions(self) -> bool:
        """Whether functions of the user give settings."""
        return any(map(is_function, self.config.schedules.values()))

    def _settings_in_force(self) -> PPOConfig:
        """The settings of the update that begins now. Where functions give them, rank 0 calls these for all ranks."""
        left, adaptive_lr = self.config.left_after(self.state.global_step), self.state.adaptive_lr
        scheduled = self._scheduled or self.config
        if self._calls_functions:
            values = self.ranks.broadcast(lambda: scheduled.values_at(left, adaptive_lr))
        else:
            values = scheduled.values_at(left, adaptive_lr)
        return replace(self.config, **values) if values else self.config

    def extend(self, more_steps: int) -> None:
        """Set `config.total_timesteps` to the steps that are done and `more_steps`, as `learn(more_steps=...)` does.

        Raises UserError if `more_steps` is not an integer >= 1.
        """
        whole = isinstance(more_steps, int | np.integer) and not isinstance(more_steps, bool)
        check(whole and more_steps >= 1, "more_steps", more_steps, "an integer >= 1")
        self.config = replace(self.config, total_timesteps=self.global_step + int(more_steps))

    def _after_update(self, callbacks: Sequence[Callback], metrics: Metrics) -> None:
        """Call the callbacks, and stop if one returns False; then what was logged belongs to the past."""
        try:
            if not run_callbacks(callbacks, self, metrics):
                self.stop()
        finally:
            self.logged.clear()

    def log(self, name: str, value: float) -> None:
        """Log a number for the present update, in a callback or in an environment's code; see docs/python.md.

        Its mean over the update becomes a column of metrics.csv and a TensorBoard scalar, if there is a run folder.

        Raises UserError if the value is no number, or if the name has a comma or is that of a column of metrics.csv.
        """
        self.logged.add(name, value)

    def stop(self) -> None:
        """Let `learn` return after the current environment step, or after the epochs if the rollout is full.

        Steps that a kernel does together count as one; they take about 0.02 s.

        The next `learn` continues an unfinished rollout. With several ranks, all of them return after the current
        update. Safe in a signal handler.
        """
        self._stopped = True

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called, and `learn` has not returned yet."""
        return self._stopped

    @property
    def update(self) -> int:
        """Finished updates."""
        return self.state.update

    @property
    def global_step(self) -> int:
        """Environment steps of finished rollouts, over all environments."""
        return self.state.global_step

    @property
    def recent_episodes(self) -> deque[Episode]:
        """The last 100 finished episodes."""
        return self.state.recent_episodes

    @property
    def resumable(self) -> bool:
        """Whether `save` can write a state that continues exactly; False after an exception in an update's epochs."""
        return self.resume_point.exists

    def predict(self, obs: Any, deterministic: bool = True, action_mask: Any = None) -> Any:
        """Action for one observation or actions for a batch; see `Policy.predict`."""
        return self.policy.predict(obs, deterministic, action_mask, rng=self.state.rngs["predict_rng"])

    def save(self, path: str | PathLike, *, keep_previous: bool = False) -> None:
        """Write everything that is needed to continue training to an HDF5 file, atomically.

        During a rollout, the state at its beginning is written. All ranks must call this; rank 0 writes. With
        `keep_previous`, the old file is kept as NAME.prev.h5.

        Raises:
            OSError: The file cannot be written; the old file is untouched.
        """
        checkpoint = self.resume_point.checkpoint(self.config, self.ranks)
        if self.ranks.rank == 0:
            write_checkpoint(path, checkpoint, keep_previous)

    @classmethod
    def load(
        cls, path: str | PathLike, env: EnvSource = None, ranks: Ranks = ALONE,
        schedules: Mapping[str, Schedule] | None = None,
    ) -> Self:  # fmt: skip
        """Rebuild the object from a file that `save` wrote; `learn` then continues exactly where it stopped.

        Environments are restored by repeating their actions, compiled ones by their states; if that fails, a
        RuntimeWarning names them. Another one says which modules the environment imports, and which files with
        schedules `learn` runs, if the file is in no run folder. `load_policy` does neither.

        Args:
            path: of the file.
            env: as for `PPO`; needed if the run was trained on an `env` without an id.
            ranks: as for `PPO`; their number may differ from that of the saved run.
            schedules: functions, or FILE.py:function, by field name, such as learning_rate_schedule. They replace those
                of the saved run. A function that was given from Python is not in the file: without it, `learn` raises
                UserError, and `predict` works.

        Raises:
            UserError: There is no such file, it is not a checkpoint, or it does not fit its environment; or a name in
                `schedules` is not that of a schedule that was a function.
        """
        saved = read_checkpoint(path)
        if not saved.config.env_id and env is None:
            raise UserError(f"checkpoint {str(path)!r} was trained on an env without an id: give that env to load.")
        config = saved.config.with_schedules(schedules or {})
        for notice in foreign_code(path, config if env is None else replace(config, env_id="")):
            warnings.warn(notice, RuntimeWarning, 2)
        try:
            ppo = cls(config, env, resume=saved, ranks=ranks)
        except MemoryError as error:
            raise UserError(f"checkpoint {str(path)!r} describes a run that does not fit into memory.") from error
        if warning := changes_warning(saved):
            warnings.warn(warning, RuntimeWarning, 2)
        if ppo.lost_envs:
            warnings.warn(lost_environments_warning(ppo.lost_envs, ppo.global_step), RuntimeWarning, 2)
        return ppo

    def close(self) -> None:
        """Close the environments, also those of evaluations, and end the threads; a video is finished first."""
        self._gradient.close()
        close_all(self.stream.guests)
        self.stream.guests.clear()
        close_environments(self.envs)
