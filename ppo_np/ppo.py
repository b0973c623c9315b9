"""Proximal policy optimisation: the training loop."""

from collections import deque
from collections.abc import Callable
from os import PathLike
from time import perf_counter

import numpy as np

from kernels.loss import LOSS_TERMS
from kernels.optimizer import adam, clip_by_global_norm, global_norm
from ppo_np.checkpoint import COUNTERS, RNGS, Checkpoint, copy_tensors, read_checkpoint, write_checkpoint
from ppo_np.config import PPOConfig
from ppo_np.envs import EnvStream, VideoOptions, make_vector_env, spaces_of
from ppo_np.errors import DivergedError, UserError
from ppo_np.logger import Metrics
from ppo_np.policy import Policy
from ppo_np.rollout import RolloutBuffer, collect
from ppo_np.threads import blas_threads, limit_blas_threads

RECENT_EPISODES = 100


class PPO:
    """PPO with hand-written gradients on a Gymnasium environment.

    Args:
        config: all settings; the default is the article's run on LunarLander.
        video: film episodes of environment 0.

    Attributes:
        policy: the network and its spaces; `policy.model.params` is the flat parameter vector.
        update, global_step: finished updates, and environment steps done over all environments.
        recent_episodes: the last 100 finished episodes.

    Raises:
        UserError: The environment cannot be made, or a space of its is not supported.
    """

    def __init__(self, config: PPOConfig | None = None, *, video: VideoOptions | None = None):
        self.config = config = config or PPOConfig()
        streams = map(np.random.default_rng, np.random.SeedSequence(config.seed).spawn(4))
        weights_rng, self.action_rng, self.minibatch_rng, self._predict_rng = streams
        self.policy = Policy(*spaces_of(config.env_id), config, weights_rng)
        self.model = self.policy.model
        self.envs = make_vector_env(config.env_id, config.num_envs, video)
        self.m, self.v = np.zeros((2, self.model.params.size), self.model.params.dtype)
        self.adam_step = self.update = self.global_step = 0
        self.wall_time = 0.0
        self.recent_episodes = deque(maxlen=RECENT_EPISODES)
        self._stream = EnvStream(self.envs, config.seed)
        self._buffer = RolloutBuffer(config.num_steps, config.num_envs, self.policy.observations.size)
        self._step_batch = self.model.batch(config.num_envs)
        self._minibatch = self.model.batch(config.minibatch_size)
        self._stopped = False

    def learn(self, callback: Callable[["PPO", Metrics], None] | None = None) -> "PPO":
        """Train until `config.total_timesteps` steps are done, or until `stop` is called.

        Args:
            callback: called with this object and the metrics after each update.

        Raises:
            DivergedError: A gradient is not finite, for instance after a NaN in an observation or a reward.
        """
        learn_start = perf_counter() - self.wall_time
        with limit_blas_threads(blas_threads(self.config, self.policy.observations.size)):
            while self.update < self.config.num_updates and self.global_step < self.config.total_timesteps:
                metrics = self._run_update(learn_start)
                if metrics is None:
                    break
                if callback:
                    callback(self, metrics)
        self.wall_time = perf_counter() - learn_start
        self._stopped = False
        return self

    def _run_update(self, learn_start: float) -> Metrics | None:
        """One rollout and the epochs over it; None if `stop` was called on the way."""
        config, buffer = self.config, self._buffer
        start = perf_counter()
        learning_rate = config.learning_rate_at(self.update)

        rollout = collect(
            self._stream, self.policy, self._step_batch, buffer, self.action_rng, stopped=lambda: self._stopped
        )
        self.global_step += rollout.steps
        self.recent_episodes += rollout.episodes
        if self._stopped:
            return None

        update_start = perf_counter()
        buffer.compute_advantages(config.gamma, config.gae_lambda)
        sums = np.zeros(len(LOSS_TERMS))
        grad_norms = 0.0
        order = np.arange(config.batch_size)
        for _epoch in range(config.update_epochs):
            self.minibatch_rng.shuffle(order)
            for rows in order.reshape(config.num_minibatches, config.minibatch_size):
                buffer.gather(rows, self._minibatch)
                sums += self.model.loss_and_gradient(self._minibatch, config)
                grad_norms += self._optimize(learning_rate)
                if self._stopped:
                    return None

        end = perf_counter()
        self.update += 1
        passes = config.update_epochs * config.num_minibatches
        means = dict(zip(LOSS_TERMS, sums / passes, strict=True))
        return Metrics.of_update(
            update=self.update, step=self.global_step, rollout=rollout, losses=means, grad_norm=grad_norms / passes,
            explained_variance=buffer.explained_variance(), learning_rate=learning_rate,
            wall_time=end - learn_start, time_total=end - start, time_update=end - update_start,
        )  # fmt: skip

    def _optimize(self, learning_rate: float) -> float:
        """Clip the gradient and take one Adam step; the gradient's norm before clipping is returned.

        Raises:
            DivergedError: The gradient is not finite; nothing has been changed.
        """
        config, model = self.config, self.model
        norm = global_norm(model.grads)
        if not np.isfinite(norm):
            raise DivergedError(f"In update {self.update + 1} the gradient is not finite; the parameters were kept.")
        clip_by_global_norm(model.grads, norm, config.max_grad_norm)
        self.adam_step += 1
        adam(
            model.params, model.grads, self.m, self.v, self.adam_step,
            learning_rate, config.adam_beta1, config.adam_beta2, config.adam_eps,
        )  # fmt: skip
        return norm

    def stop(self) -> None:
        """Ask `learn` to return after the current environment step or minibatch, or at once if it has not begun.

        Safe in a signal handler.
        """
        self._stopped = True

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
            ),
        )

    @classmethod
    def load(cls, path: str | PathLike) -> "PPO":
        """Rebuild a PPO from a file that `save` wrote. Its environments start anew.

        Raises:
            UserError: There is no such file, or it is not a checkpoint, or it does not fit its environment.
        """
        saved = read_checkpoint(path)
        ppo = cls(saved.config)
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
