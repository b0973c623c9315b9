"""Proximal policy optimisation: the training loop."""

import warnings
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from os import PathLike
from time import perf_counter

import numpy as np

from kernels.loss import LOSS_TERMS
from kernels.optimizer import adam, clip_by_global_norm, global_norm
from ppo_np.config import PPOConfig
from ppo_np.distributed.ranks import ALONE, Ranks, own_generator
from ppo_np.environments.env_recorder import Mark
from ppo_np.environments.film import VideoOptions
from ppo_np.environments.guard import Guard
from ppo_np.environments.make import EnvSource, open_environments
from ppo_np.environments.stream import EnvStream
from ppo_np.errors import EnvironmentFault, UserError
from ppo_np.learning.minibatches import Dealer, Hand, shuffled
from ppo_np.learning.normalizer import RewardScaler
from ppo_np.learning.policy import Policy
from ppo_np.learning.rollout import RolloutBuffer, RolloutReport, collect, flatten_obs
from ppo_np.logs.logger import Metrics
from ppo_np.network.batch import Minibatch
from ppo_np.network.blocks import BlockedGradient
from ppo_np.network.summed_gradient import SummedGradient
from ppo_np.network.tensor_trace import NotFiniteError
from ppo_np.network.threads import blas_threads, is_wide, limit_blas_threads, threads
from ppo_np.saving import crash_file
from ppo_np.saving.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from ppo_np.saving.training_state import another_seed, capture, restore, restore_environments

RECENT_EPISODES = 100
APPROX_KL = LOSS_TERMS.index("approx_kl")


class PPO:
    """PPO with hand-written gradients on a Gymnasium environment.

    Args:
        config: all settings; the default is the article's run on LunarLander.
        env: what to train on instead of `config.env_id`: an id, a function that makes a gymnasium.Env, or a
            gymnasium.vector.VectorEnv, whose `num_envs` then holds.
        video: film episodes of environment 0.
        resume: go on where this checkpoint, of the same network and environment, stood.
        ranks: processes that train together; each makes its own PPO, of the same config, and calls the same methods.

    Attributes:
        config: the settings in force; its `env_id` is empty if `env` is a function or a VectorEnv.
        policy: the network and its spaces; `policy.model.params` is the flat parameter vector.
        update, global_step: finished updates, and environment steps of their rollouts over all environments.
        recent_episodes: the last 100 finished episodes.
        own_envs: which of the `config.num_envs` environments this rank steps: all of them if it is alone.
        resumable: whether `save` can write a state that goes on exactly; not after an exception in an update's epochs.
        lost_envs: indices of environments that `resume` could not bring back; they have begun another episode.
        environments_reset: how many that were, since the last update.

    Raises:
        UserError: The environment cannot be made, or a space of its is not supported, or `resume` does not fit.
        EnvironmentFault: Its first reset failed.
    """

    def __init__(
        self,
        config: PPOConfig | None = None,
        env: EnvSource = None,
        *,
        video: VideoOptions | None = None,
        resume: Checkpoint | None = None,
        ranks: Ranks = ALONE,
    ):
        seed, self.ranks = another_seed(resume) if resume else None, ranks
        self.config, self.envs = config, envs = open_environments(config or PPOConfig(), env, video, seed, ranks)
        self.own_envs = own = ranks.envs(config.num_envs)
        streams = map(np.random.default_rng, np.random.SeedSequence(config.seed).spawn(4))
        weights_rng, self.action_rng, self.minibatch_rng, self.predict_rng = streams
        with ExitStack() as on_error:
            on_error.callback(envs.close)
            weights_rng = None if resume else weights_rng
            self.policy = Policy(envs.single_observation_space, envs.single_action_space, config, weights_rng)
            self.model = self.policy.model
            self.m, self.v = np.zeros((2, self.model.params.size), self.model.params.dtype)
            self._buffer = RolloutBuffer(config.num_steps, len(own), self.policy)
            self._dealer = Dealer(ranks, config.num_steps, config.num_envs)
            self._step_batch = self.model.batch(len(own))
            how = self.model, threads(config, ranks), is_wide(config, self.policy.observations.size)
            self._gradient = BlockedGradient(*how) if ranks.size == 1 else SummedGradient(*how, ranks)
            self.stream = EnvStream(envs, config.env_timeout, own.start)
            self.adam_step = self.update = self.global_step = self.environments_reset = 0
            self.wall_time = 0.0
            self.recent_episodes = deque(maxlen=RECENT_EPISODES)
            self.reward_scaler = RewardScaler(len(own), config.gamma) if config.norm_reward else None
            self.lost_envs = []
            if resume:
                restore(self, resume)
                self.lost_envs = np.flatnonzero(~restore_environments(self, resume)).tolist()
                self.environments_reset += len(self.lost_envs)
            else:
                self.stream.reset(config.seed)
            on_error.pop_all()
        self.resumable = True
        self._rollout, self._rollout_start = RolloutReport(), None
        self._stopped = False

    def learn(self, callback: Callable[["PPO", Metrics], None] | None = None) -> "PPO":
        """Train until `config.total_timesteps` steps are done, or until `stop` is called; then it can be called again.

        Args:
            callback: called with this object and the metrics after each update.

        Raises:
            DivergedError: A parameter, an output of the network, a loss or a gradient is not finite.
            EnvironmentFault: An environment failed, or gave numbers that are not finite.
            RanksError: The ranks have come to different parameters.
        """
        crash_file.check_state(self, self.config, "before the rollout")
        learn_start = perf_counter() - self.wall_time
        try:
            blas = blas_threads(self.config, self.policy.observations.size, self.ranks)
            with limit_blas_threads(blas), self.stream.watched():
                while self.global_step < self.config.total_timesteps and not self.ranks.any(self._stopped):
                    metrics = self._run_update(learn_start)
                    if metrics is None:
                        break
                    if callback:
                        callback(self, metrics)
        except EnvironmentFault as fault:
            if fault.numbers:
                fault.crash = crash_file.crash_of(self, self.config, str(fault), crash_file.ENVIRONMENT, fault.numbers)
            raise
        finally:
            self.wall_time = perf_counter() - learn_start
            self._stopped = False
        return self

    def _run_update(self, learn_start: float) -> Metrics | None:
        """One rollout and the epochs over it; None if `stop` was called before the rollout was full."""
        config, buffer, rollout = self.config.at(self.global_step), self._buffer, self._rollout
        self.rollout_start()
        try:
            rng = own_generator(self.action_rng, self.ranks, config.num_envs)
            rollout = collect(self.stream, self.policy, self._step_batch, buffer, rng, self._stops_here, rollout)
        except NotFiniteError as error:
            where = f"row {rollout.rows + 1} of the rollout"
            rows = {"obs": self._step_batch.obs, "actions": self._step_batch.distribution.actions}
            raise crash_file.diverged(self, config, where, error, crash_file.ROLLOUT, rows) from None
        if rollout.rows < config.num_steps:
            return None

        update_start = perf_counter()
        self.resumable = False
        self._rollout, self._rollout_start = RolloutReport(), None
        rollout = rollout.of_all(self.ranks)
        self.global_step += rollout.steps
        self.recent_episodes += rollout.episodes
        if self.reward_scaler:
            dones = buffer.terminations | buffer.truncations
            self.reward_scaler.scale(buffer.rewards, buffer.valid, dones, self.ranks)
        if self.policy.obs_moments:
            buffer.normalize_obs(self.policy, self.ranks)
        buffer.compute_advantages(config.gamma, config.gae_lambda)
        means = self._run_epochs(config)
        crash_file.check_state(self, config, "after the epochs")
        self.ranks.check_same(self.model.params, self.update + 1)

        end = perf_counter()
        self.update += 1
        self.wall_time = end - learn_start
        self.resumable = True
        reset, self.environments_reset = self.environments_reset, 0
        return Metrics.of_update(
            update=self.update, step=self.global_step, rollout=rollout, losses=means,
            explained_variance=buffer.explained_variance(self.ranks), learning_rate=config.learning_rate,
            wall_time=self.wall_time, time_update=end - update_start, environments_reset=reset,
        )  # fmt: skip

    def rollout_start(self) -> tuple[Mark, dict]:
        """Where the environments and the generator of actions stood when the present rollout began."""
        if self._rollout_start is None:
            rows = np.zeros(self._step_batch.obs.shape, self.policy.obs_dtype)
            flatten_obs(self.stream, self.policy, rows)
            self._rollout_start = self.stream.mark(rows), self.action_rng.bit_generator.state
            self.resumable = True
        return self._rollout_start

    def _run_epochs(self, config: PPOConfig) -> dict[str, float]:
        """Passes over the rollout's valid rows in minibatches; means of the loss terms and of the gradient's norm.

        The rows are dealt out evenly: with reset rows among them, minibatches can differ in size by one.
        """
        rows = shuffled(self._dealer.rows(self._buffer.valid), config.update_epochs, self.minibatch_rng)
        advantages = self._buffer.advantages.reshape(-1) if config.norm_adv else None
        terms, norms = [], []
        for epoch, hands in enumerate(self._dealer.deal(rows, config.num_minibatches, advantages)):
            for hand in hands:
                minibatch = self._minibatch(len(hand.rows))
                self._fill(minibatch, hand)
                terms.append(self._gradient.loss_and_gradient(minibatch, config).copy())
                try:
                    norms.append(self._optimize(config, minibatch))
                except NotFiniteError as error:
                    where = f"epoch {epoch + 1}, minibatch {(len(terms) - 1) % len(hands) + 1}"
                    raise crash_file.diverged(
                        self, config, where, error, crash_file.MINIBATCH, self._minibatch_rows(hand.rows)
                    ) from None
            if config.target_kl is not None and hands:
                epoch_kl = np.mean([term[APPROX_KL] for term in terms[-len(hands) :]])
                if epoch_kl > config.target_kl:
                    break
        means = np.mean(terms, axis=0) if terms else np.full(len(LOSS_TERMS), np.nan)
        return dict(zip(LOSS_TERMS, means, strict=True), grad_norm=np.mean(norms) if norms else np.nan)

    def _minibatch(self, rows: int) -> Minibatch:
        """Arrays for a minibatch, which share memory with those of the others."""
        return self._gradient.minibatch(rows)

    def _fill(self, minibatch: Minibatch, hand: Hand) -> None:
        """Copy this rank's rows of a minibatch out of the buffer."""
        self._buffer.gather(hand.rows, self.policy, minibatch)
        minibatch.total = hand.total
        if hand.advantages is not None:
            minibatch.advantages[:] = hand.advantages

    def _optimize(self, config: PPOConfig, minibatch: Minibatch) -> float:
        """Clip the gradient and take one Adam step; the gradient's norm before clipping is returned.

        Raises:
            NotFiniteError: A number of the minibatch is not finite; nothing has been changed.
        """
        model = self.model
        norm = global_norm(model.grads)
        crash_file.check_minibatch(model, minibatch, norm, config, self.ranks)
        clip_by_global_norm(model.grads, norm, config.max_grad_norm)
        self.adam_step += 1
        adam(
            model.params, model.grads, self.m, self.v, self.adam_step,
            config.learning_rate, config.adam_beta1, config.adam_beta2, config.adam_eps,
        )  # fmt: skip
        return norm

    def _minibatch_rows(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """A minibatch, with the rows of all ranks, as it was before its advantages were normalised."""
        minibatch = Minibatch(len(rows), self.model)
        self._buffer.gather(rows, self.policy, minibatch)
        return crash_file.rows_of_all(minibatch, self.ranks)

    def stop(self) -> None:
        """Ask `learn` to return after the current environment step; when the rollout is full, after the epochs over it.

        Among several ranks, one is enough to ask; all of them return after the present update. Safe in a signal
        handler. What was done of a rollout is kept: the next `learn` goes on behind it.
        """
        self._stopped = True

    def _stops_here(self) -> bool:
        """Whether to stop between two environment steps: ranks can only stop together, between two updates."""
        return self._stopped and self.ranks.size == 1

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called, and `learn` has not returned yet."""
        return self._stopped

    def watch(self, env: Guard) -> None:
        """Let `learn` watch over another environment of this process, which a callback steps: `config.env_timeout`."""
        self.stream.guests.append(env)

    def predict(self, obs, deterministic: bool = True):
        """Action for one observation or actions for a batch; see `Policy.predict`."""
        return self.policy.predict(obs, deterministic, self.predict_rng)

    def save(self, path: str | PathLike, *, keep_previous: bool = False) -> None:
        """Write everything that is needed to go on to an HDF5 file, atomically.

        Called while a rollout is under way, it writes the state in which that began. All ranks must call it; rank 0
        writes.

        Args:
            path: of the file.
            keep_previous: leave the file that was there as NAME.prev.h5.

        Raises:
            OSError: It cannot be written; the file that was there is untouched.
        """
        state = capture(self)
        if self.ranks.rank == 0:
            write_checkpoint(path, state, keep_previous)

    @classmethod
    def load(cls, path: str | PathLike, env: EnvSource = None, ranks: Ranks = ALONE) -> "PPO":
        """Rebuild a PPO from a file that `save` wrote; `learn` then goes on as if nothing had happened.

        Environments are brought back by replay. Where that fails (see `lost_envs`), a RuntimeWarning says so.

        Args:
            path: of the file.
            env: as for `PPO`; needed if the run was on a function's environments or on a VectorEnv.
            ranks: as for `PPO`; another number of them than wrote it is welcome.

        Raises:
            UserError: There is no such file, or it is not a checkpoint, or it does not fit its environment.
        """
        saved = read_checkpoint(path)
        if not saved.config.env_id and env is None:
            raise UserError(f"checkpoint {str(path)!r} was trained on an env without an id: give that env to load.")
        try:
            ppo = cls(saved.config, env, resume=saved, ranks=ranks)
        except MemoryError as error:
            raise UserError(f"checkpoint {str(path)!r} describes a run that does not fit into memory.") from error
        if ppo.lost_envs:
            warnings.warn(ppo.loss_of_envs(), RuntimeWarning, 2)
        return ppo

    def loss_of_envs(self) -> str:
        """What `lost_envs` means, in one sentence; empty if there are none."""
        if not self.lost_envs:
            return ""
        which = "environment" if len(self.lost_envs) == 1 else "environments"
        return (
            f"{which} {', '.join(map(str, self.lost_envs))} could not be brought back to where they stood, and began "
            f"another episode: from step {self.global_step} on, the run is continuous in statistics only."
        )

    def close(self) -> None:
        """Close the environments, and end the threads; a video that is being filmed is finished."""
        self._gradient.close()
        self.envs.close()
