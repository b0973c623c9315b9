"""Proximal policy optimisation: the training loop."""

from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from os import PathLike
from time import perf_counter

import numpy as np

from kernels.loss import LOSS_TERMS
from kernels.optimizer import adam, clip_by_global_norm, global_norm
from ppo_np.checkpoint import COUNTERS, RNGS, Checkpoint, copy_tensors, read_checkpoint, write_checkpoint
from ppo_np.config import PPOConfig
from ppo_np.envs import EnvSource, VideoOptions, open_environments
from ppo_np.errors import DivergedError, UserError
from ppo_np.guard import Guard
from ppo_np.logger import Metrics
from ppo_np.model import Batch
from ppo_np.normalizer import RewardScaler
from ppo_np.policy import Policy
from ppo_np.rollout import RolloutBuffer, collect
from ppo_np.stream import EnvStream
from ppo_np.threads import blas_threads, limit_blas_threads

RECENT_EPISODES = 100
APPROX_KL = LOSS_TERMS.index("approx_kl")


class PPO:
    """PPO with hand-written gradients on a Gymnasium environment.

    Args:
        config: all settings; the default is the article's run on LunarLander.
        env: what to train on instead of `config.env_id`: an id, a function that makes a gymnasium.Env, or a
            gymnasium.vector.VectorEnv, whose `num_envs` then holds.
        video: film episodes of environment 0.

    Attributes:
        config: the settings in force; its `env_id` is empty if `env` is a function or a VectorEnv.
        policy: the network and its spaces; `policy.model.params` is the flat parameter vector.
        update, global_step: finished updates, and environment steps done over all environments.
        recent_episodes: the last 100 finished episodes.

    Raises:
        UserError: The environment cannot be made, or a space of its is not supported.
        EnvironmentFault: Its first reset failed.
    """

    def __init__(
        self,
        config: PPOConfig | None = None,
        env: EnvSource = None,
        *,
        video: VideoOptions | None = None,
    ):
        self.config, self.envs = config, envs = open_environments(config or PPOConfig(), env, video)
        streams = map(np.random.default_rng, np.random.SeedSequence(config.seed).spawn(4))
        weights_rng, self.action_rng, self.minibatch_rng, self._predict_rng = streams
        with ExitStack() as on_error:
            on_error.callback(envs.close)
            self.policy = Policy(envs.single_observation_space, envs.single_action_space, config, weights_rng)
            self.model = self.policy.model
            self.m, self.v = np.zeros((2, self.model.params.size), self.model.params.dtype)
            self._buffer = RolloutBuffer(config.num_steps, config.num_envs, self.policy)
            self._step_batch = self.model.batch(config.num_envs)
            self._stream = EnvStream(envs, config.seed, config.env_timeout)
            on_error.pop_all()
        self.adam_step = self.update = self.global_step = 0
        self.wall_time = 0.0
        self.recent_episodes = deque(maxlen=RECENT_EPISODES)
        self.reward_scaler = RewardScaler(config.num_envs, config.gamma) if config.norm_reward else None
        self._minibatches = {}
        self._stopped = False

    def learn(self, callback: Callable[["PPO", Metrics], None] | None = None) -> "PPO":
        """Train until `config.total_timesteps` steps are done, or until `stop` is called.

        Args:
            callback: called with this object and the metrics after each update.

        Raises:
            DivergedError: A gradient is not finite.
            EnvironmentFault: An environment failed, or gave numbers that are not finite.
        """
        learn_start = perf_counter() - self.wall_time
        threads = blas_threads(self.config, self.policy.observations.size)
        try:
            with limit_blas_threads(threads), self._stream.watched():
                while self.global_step < self.config.total_timesteps:
                    metrics = self._run_update(learn_start)
                    if metrics is None:
                        break
                    if callback:
                        callback(self, metrics)
        finally:
            self.wall_time = perf_counter() - learn_start
            self._stopped = False
        return self

    def _run_update(self, learn_start: float) -> Metrics | None:
        """One rollout and the epochs over it; None if `stop` was called on the way."""
        config, buffer = self.config.at(self.global_step), self._buffer
        start = perf_counter()
        rollout = collect(
            self._stream, self.policy, self._step_batch, buffer, self.action_rng, stopped=lambda: self._stopped
        )
        self.global_step += rollout.steps
        self.recent_episodes += rollout.episodes
        if self.reward_scaler:
            done = slice(rollout.rows)  # all of them, unless `stop` was called on the way
            dones = buffer.terminations | buffer.truncations
            self.reward_scaler.scale(buffer.rewards[done], buffer.valid[done], dones[done])
        if self._stopped:
            return None

        update_start = perf_counter()
        if self.policy.obs_moments:
            buffer.normalize_obs(self.policy)
        buffer.compute_advantages(config.gamma, config.gae_lambda)
        means = self._run_epochs(config)
        if means is None:
            return None

        end = perf_counter()
        self.update += 1
        return Metrics.of_update(
            update=self.update, step=self.global_step, rollout=rollout, losses=means,
            explained_variance=buffer.explained_variance(), learning_rate=config.learning_rate,
            wall_time=end - learn_start, time_total=end - start, time_update=end - update_start,
        )  # fmt: skip

    def _run_epochs(self, config: PPOConfig) -> dict[str, float] | None:
        """Passes over the rollout's valid rows in minibatches; means of the loss terms and of the gradient's norm.

        The rows are dealt out evenly: with reset rows among them, minibatches can differ in size by one. None if `stop`
        was called on the way.
        """
        rows = np.flatnonzero(self._buffer.valid)
        terms, norms = [], []
        for _epoch in range(config.update_epochs):
            self.minibatch_rng.shuffle(rows)
            parts = [part for part in np.array_split(rows, config.num_minibatches) if len(part)]
            for part in parts:
                minibatch = self._minibatch(len(part))
                self._buffer.gather(part, self.policy, minibatch)
                terms.append(self.model.loss_and_gradient(minibatch, config).copy())
                norms.append(self._optimize(config))
                if self._stopped:
                    return None
            if config.target_kl is not None and parts:
                epoch_kl = np.mean([term[APPROX_KL] for term in terms[-len(parts) :]])
                if epoch_kl > config.target_kl:
                    break
        means = np.mean(terms, axis=0) if terms else np.full(len(LOSS_TERMS), np.nan)
        return dict(zip(LOSS_TERMS, means, strict=True), grad_norm=np.mean(norms) if norms else np.nan)

    def _minibatch(self, rows: int) -> Batch:
        """Arrays for a minibatch; those of the last two sizes are kept."""
        if rows not in self._minibatches:
            if len(self._minibatches) == 2:
                self._minibatches.pop(next(iter(self._minibatches)))
            self._minibatches[rows] = self.model.batch(rows)
        return self._minibatches[rows]

    def _optimize(self, config: PPOConfig) -> float:
        """Clip the gradient and take one Adam step; the gradient's norm before clipping is returned.

        Raises:
            DivergedError: The gradient is not finite; nothing has been changed.
        """
        model = self.model
        norm = global_norm(model.grads)
        if not np.isfinite(norm):
            raise DivergedError(f"In update {self.update + 1} the gradient is not finite; the parameters were kept.")
        clip_by_global_norm(model.grads, norm, config.max_grad_norm)
        self.adam_step += 1
        adam(
            model.params, model.grads, self.m, self.v, self.adam_step,
            config.learning_rate, config.adam_beta1, config.adam_beta2, config.adam_eps,
        )  # fmt: skip
        return norm

    def stop(self) -> None:
        """Ask `learn` to return after the current environment step or minibatch, or at once if it has not begun.

        Safe in a signal handler.
        """
        self._stopped = True

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called, and `learn` has not returned yet."""
        return self._stopped

    def watch(self, env: Guard) -> None:
        """Let `learn` watch over another environment of this process, which a callback steps: `config.env_timeout`."""
        self._stream.guests.append(env)

    def predict(self, obs, deterministic: bool = True):
        """Action for one observation or actions for a batch; see `Policy.predict`."""
        return self.policy.predict(obs, deterministic, self._predict_rng)

    def save(self, path: str | PathLike) -> None:
        """Write parameters, Adam's state, counters, random generators and settings to an HDF5 file, atomically."""
        write_checkpoint(
            path,
            Checkpoint(
                config=self.config,
                parameters=self.model.named(self.model.params),
                adam_m=self.model.named(self.m),
                adam_v=self.model.named(self.v),
                counters={name: getattr(self, name) for name in COUNTERS},
                rng={name: getattr(self, name).bit_generator.state for name in RNGS},
                normalizer=self._normalizer(),
            ),
        )

    def _normalizer(self) -> dict[str, np.ndarray]:
        """The running statistics by name, as they stand in a checkpoint; empty without normalisation."""
        parts = {"obs": self.policy.obs_moments, "reward": self.reward_scaler}
        return {f"{part}/{name}": array for part, n in parts.items() if n for name, array in n.arrays().items()}

    @classmethod
    def load(cls, path: str | PathLike, env: EnvSource = None) -> "PPO":
        """Rebuild a PPO from a file that `save` wrote. Its environments start anew.

        Args:
            path: of the file.
            env: as for `PPO`; needed if the run was on a function's environments or on a VectorEnv.

        Raises:
            UserError: There is no such file, or it is not a checkpoint, or it does not fit its environment.
        """
        saved = read_checkpoint(path)
        if not saved.config.env_id and env is None:
            raise UserError(f"checkpoint {str(path)!r} was trained on an env without an id: give that env to load.")
        ppo = cls(saved.config, env)
        copy_tensors(saved.normalizer, ppo._normalizer(), path)
        for flat, tensors in ((ppo.model.params, saved.parameters), (ppo.m, saved.adam_m), (ppo.v, saved.adam_v)):
            copy_tensors(tensors, ppo.model.named(flat), path)
        for name in COUNTERS:
            setattr(ppo, name, saved.counters[name])
        try:
            for name in RNGS:
                getattr(ppo, name).bit_generator.state = saved.rng[name]
        except (TypeError, ValueError, KeyError) as error:
            raise UserError(f"checkpoint {str(path)!r} has no usable state of {name}.") from error
        return ppo

    def close(self) -> None:
        """Close the environments; a video that is being filmed is finished."""
        self.envs.close()
