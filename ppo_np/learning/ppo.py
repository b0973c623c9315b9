"""Proximal policy optimisation: the training loop (Schulman et al. 2017, algorithm 1)."""

from time import perf_counter
from typing import Self

from kernels.optimizer import global_norm
from ppo_np.config import PPOConfig
from ppo_np.distributed.ranks import own_generator
from ppo_np.learning.adaptive_lr import adapted
from ppo_np.learning.callbacks import Callbacks, as_list
from ppo_np.learning.metrics import Metrics, MinibatchLosses
from ppo_np.learning.minibatches import MinibatchSlice, normalize_advantages
from ppo_np.learning.on_policy import OnPolicyAlgorithm
from ppo_np.learning.rollout import RolloutReport, collect
from ppo_np.network.optimizer import clip_gradient
from ppo_np.network.threads import blas_threads, limit_blas_threads


class PPO(OnPolicyAlgorithm):
    """PPO with hand-written gradients on a Gymnasium environment.

    Args:
        config: all settings; the default is the article's run on LunarLander.
        env: what to train on instead of `config.env_id`: an id, a function that makes a gymnasium.Env, a
            subclass of `CompiledEnv`, or a gymnasium.vector.VectorEnv, whose `num_envs` then holds.
        video: film episodes of environment 0.
        resume: a checkpoint of the same network and environment, from which training continues.
        ranks: processes that train together; each makes its own PPO with the same config and calls the same methods.
        init_from: a run folder or a checkpoint file. The new run begins with its weights and, with `norm_obs`, its
            statistics of the observations; all else, also Adam, begins anew.

    Attributes:
        config: the settings in force; its `env_id` is empty if `env` is a function or a VectorEnv.
        policy: the network, its spaces and the statistics of observations. A copy of it acts alone: `copy.deepcopy`.
            `policy.model.params`, the flat parameter vector, is less than that: it leaves the statistics out.
        state: everything that learning changes.
        own_envs: indices of the environments that this rank steps: all `config.num_envs` if there is one rank.
        reward_per_step: mean reward of the last rollout, before normalisation; NaN before the first one.
        lost_envs: indices of environments that `resume` could not restore; they have begun a new episode.

    Raises:
        UserError: An argument has the wrong type, the environment cannot be made, a space is not supported, or `resume`
            or `init_from` does not fit. Also raised by copying or pickling a PPO.
        EnvironmentFault: The first reset of an environment failed.
    """

    def learn(self, callback: Callbacks = None, more_steps: int | None = None) -> Self:
        """Train until `config.total_timesteps` steps are done or `stop` is called; then it can be called again.

        `callback`, a function or a list of functions, is called with this object and the metrics after each update. If
        one returns False, training stops there.

        `more_steps` first sets `config.total_timesteps` to the steps that are done and so many more, as `--resume RUN
        --total-timesteps M` does. It may come before or after the former end. The schedules look at the whole run: p,
        the share that is left, is 1 - steps done / `config.total_timesteps`. So `linear` from 3e-4 has fallen to 0 at
        the end of `learn()` over 100,000 steps; `learn(more_steps=100_000)` then begins at p = 1/2, with 1.5e-4, and
        falls to 0 again. Without schedules (`anneal_lr=False`), two calls are one run of all steps, bit for bit.

        Raises:
            DivergedError: A parameter, an output of the network, a loss or a gradient is not finite.
            EnvironmentFault: An environment failed, or gave numbers that are not finite.
            RanksError: The ranks have different parameters.
            UserError: `callback` is not a function; or a schedule that is a function is missing or gives no number that
                is allowed.
        """
        callbacks = as_list(callback)
        if more_steps is not None:
            self.extend(more_steps)
        self._divergence.check_state(self.config, "before the rollout")
        self.load_schedules()
        state, learn_start = self.state, perf_counter() - self.state.wall_time
        blas = blas_threads(self.config, self.policy.observations.size, self.ranks)
        try:
            with limit_blas_threads(blas), self.stream.watched(), self._divergence.environments(self.config):
                while state.global_step < self.config.total_timesteps and not self.ranks.any(self._stopped):
                    metrics = self._update(learn_start)
                    if metrics is None:
                        break
                    self._after_update(callbacks, metrics)
        finally:
            state.wall_time = perf_counter() - learn_start
            self._stopped = False
        return self

    def _update(self, learn_start: float) -> Metrics | None:
        """One update: a rollout, then epochs of minibatches over it (Schulman et al. 2017, algorithm 1).

        Returns None if `stop` was called before the rollout was full.
        """
        state, model, buffer = self.state, self.policy.model, self._buffer
        config = self._settings_in_force()

        # COLLECT A ROLLOUT under the current policy
        rollout = self._collect(config)
        if rollout is None:
            return None

        update_start = perf_counter()
        with self.resume_point.moving():
            # NORMALISE rewards and observations, if the settings say so
            if self.reward_scaler:
                self.reward_scaler.scale(buffer.rewards, buffer.valid, buffer.dones, self.ranks)
            if self.policy.obs_moments:
                buffer.normalize_obs(self.policy, self.ranks)

            # CALCULATE ADVANTAGES backwards through the rollout
            buffer.compute_advantages(config.gamma, config.gae_lambda)

            # UPDATE THE NETWORK in epochs of minibatches
            losses = MinibatchLosses()
            for minibatches in self._epochs(config):
                done = self._compiled.do(minibatches, config, losses) if self._compiled else 0  # as this loop does
                for part in minibatches[done:]:
                    minibatch = buffer.minibatch(part, self.policy)
                    if config.norm_adv:
                        normalize_advantages(minibatch, part)
                    loss_terms = self._gradient.loss_and_gradient(minibatch, config)
                    if self._cloning:  # the gradient of another term of the loss, if the settings say so
                        self._cloning.add_gradient(config.bc_coef)
                    grad_norm = global_norm(model.grads)
                    self._divergence.check_minibatch(part, minibatch, loss_terms, grad_norm, config)
                    clip_gradient(model.grads, grad_norm, model.value_start, config)
                    state.optimizer.step(config.learning_rate, config.value_learning_rate)
                    losses.add(loss_terms, grad_norm)
                if config.target_kl is not None and losses.approx_kl(len(minibatches)) > config.target_kl:
                    break

            self._divergence.check_state(config, "after the epochs")
            self.ranks.check_same(model.params, state.update + 1)
            if config.kl_adaptive_lr is not None:
                state.adaptive_lr = adapted(config, losses.approx_kl(len(minibatches)))
        return self._finish_update(config, rollout, losses, update_start, learn_start)

    def _collect(self, config: PPOConfig) -> RolloutReport | None:
        """Fill the buffer. Returns the report of all ranks; None if `stop` was called before the buffer was full."""
        self.resume_point.rollout_start()
        rng = own_generator(self.state.rngs["action_rng"], self.ranks, config.num_envs)
        stopped = (lambda: self._stopped) if self.ranks.size == 1 else (lambda: False)  # ranks stop between updates
        with self._divergence.acting(config, self._report, self._workspace):
            parts = self.stream, self.policy, self._workspace, self._buffer
            report = collect(*parts, rng, stopped, self._report, self._gradient.other_thread)
        if report.filled < config.num_steps:
            return None
        self.resume_point.rollout_end()
        self._report = RolloutReport()
        report = report.of_all(self.ranks)
        self.state.global_step += report.steps
        self.state.recent_episodes += report.episodes
        self.logged.add_infos(report.infos)
        self.reward_per_step = report.rewards / max(report.steps, 1)
        return report

    def _epochs(self, config: PPOConfig) -> list[list[MinibatchSlice]]:
        """The minibatches of each epoch."""
        advantages = self._buffer.advantages if config.norm_adv else None
        counts = config.update_epochs, config.num_minibatches
        return self._sampler.epochs(self._buffer.valid, *counts, advantages, self.state.rngs["minibatch_rng"])

    def _finish_update(
        self, config: PPOConfig, report: RolloutReport, losses: MinibatchLosses, update_start: float, learn_start: float
    ) -> Metrics:
        """Count the update and return its metrics."""
        state, end = self.state, perf_counter()
        state.update += 1
        state.wall_time = end - learn_start
        metrics = Metrics.of_update(
            update=state.update, step=state.global_step, rollout=report, losses=losses.means(),
            explained_variance=self._buffer.explained_variance(self.ranks), learning_rate=config.learning_rate,
            wall_time=state.wall_time, time_update=end - update_start, environments_reset=state.environments_reset,
        )  # fmt: skip
        state.environments_reset = 0
        return metrics
