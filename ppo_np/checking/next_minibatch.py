"""A minibatch with its network, its optimiser and its gradient: the next one of a run, or one drawn off-policy."""

import dataclasses
import warnings
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from kernels.advantage import normalize
from ppo_np.checking.numerical_check import off_policy_minibatch, perturb
from ppo_np.config import PPOConfig
from ppo_np.environments.make import spaces_of
from ppo_np.environments.spaces import ObservationAdapter
from ppo_np.errors import RunError, UserError, check
from ppo_np.learning.ppo import PPO
from ppo_np.learning.resume_point import lost_environments_warning
from ppo_np.network.action_head import action_head
from ppo_np.network.blocks import BlockedGradient, blocks_of
from ppo_np.network.minibatch import Minibatch
from ppo_np.network.model import ActorCritic
from ppo_np.network.optimizer import Optimizer
from ppo_np.network.threads import blas_threads, is_wide, limit_blas_threads, threads
from ppo_np.saving.checkpoint import Checkpoint


@dataclass(frozen=True)
class Subject:
    """A minibatch at the moment between its gradient and the step of the optimiser.

    Attributes:
        title: where it comes from, for people.
        model: the network before the step; its `grads` hold the gradient of the minibatch, before clipping.
        optimizer: of the model, before the step.
        minibatch: B rows, with the advantages that the loss uses.
        config: the settings in force, after annealing.
        loss_terms: (6,), the numbers that `LOSS_TERMS` names.
        blocks: parts of the minibatch over which the gradient was summed; 1 if it was computed in one piece.
    """

    title: str
    model: ActorCritic
    optimizer: Optimizer
    minibatch: Minibatch
    config: PPOConfig
    loss_terms: np.ndarray
    blocks: int = 1


def off_policy_subject(config: PPOConfig) -> Subject:
    """A random network and a random off-policy minibatch in float64, in which every region of the loss occurs.

    Raises UserError if the environment cannot be made or if its spaces are not supported.
    """
    observation_space, action_space = spaces_of(config)
    obs_size, head = ObservationAdapter(observation_space).size, action_head(action_space, config)
    rng = np.random.default_rng(config.seed)
    with limit_blas_threads(blas_threads(config, obs_size)):
        model = ActorCritic(obs_size, head, config, rng, np.float64)
        perturb(model, rng)
        minibatch, activations = off_policy_minibatch(model, config, rng)
        if config.norm_adv:
            normalize(minibatch.advantages, minibatch.advantages)
        loss_terms = model.loss_and_gradient(minibatch, activations, config)
    title = f"a random off-policy minibatch, seed {config.seed}, spaces of {config.env_id}"
    return Subject(
        title, model, Optimizer(model.params, model.grads, config, model.value_start), minibatch, config, loss_terms
    )


def next_subject(saved: Checkpoint, number: int = 1) -> Subject:
    """The minibatch that the run of a checkpoint would learn from next, as training computes it, in float32.

    The environments are restored and played for one rollout; nothing is written. A run that has done all its steps is
    continued by one rollout, as `--resume` with `--total-timesteps` would. A RuntimeWarning names environments that
    cannot be restored: they begin a new episode.

    Args:
        saved: the checkpoint.
        number: which minibatch of the next update, counted from 1 over all epochs; the ones before it are learned from.

    Raises:
        UserError: The update has fewer minibatches, or the environments cannot be made.
        RunError: An environment failed, or a number is not finite.
    """
    config, done, continued = saved.config, saved.counters["global_step"], ""
    count = config.update_epochs * config.num_minibatches
    check(1 <= number <= count, "minibatch", number, f"in 1 to {count}, the minibatches of an update of that run")
    if not config.env_id:
        raise UserError(f"checkpoint {saved.path!r} was trained on an env without an id, which cannot be made here.")
    if done >= config.total_timesteps:
        saved = dataclasses.replace(saved, config=dataclasses.replace(config, total_timesteps=done + config.batch_size))
        continued = f" (the run has done its {done:,} steps and is continued by {config.batch_size:,})"
    title = f"minibatch {number} of update {saved.counters['update'] + 1} of {config.env_id}{continued}"
    try:
        with closing(_UpToMinibatch(saved.config, resume=saved)) as ppo:
            if ppo.lost_envs:
                warnings.warn(lost_environments_warning(ppo.lost_envs, done), RuntimeWarning, 2)
            return dataclasses.replace(ppo.subject(number), title=title)
    except MemoryError as error:
        raise UserError(f"checkpoint {saved.path!r} describes a run that does not fit into memory.") from error


class _Reached(Exception):  # noqa: N818  no error: it ends the training loop
    """The minibatch is reached; `subject` holds it."""

    def __init__(self, subject: Subject):
        self.subject = subject


class _Watched(BlockedGradient):
    """The gradient of training, which raises `_Reached` at the `number`-th minibatch."""

    number, seen = 1, 0
    optimizer: Optimizer

    def loss_and_gradient(self, minibatch: Minibatch, config: PPOConfig, share: float = 1.0) -> np.ndarray:
        """As `BlockedGradient.loss_and_gradient`."""
        loss_terms = super().loss_and_gradient(minibatch, config, share)
        self.seen += 1
        if self.seen < self.number:
            return loss_terms
        if not (np.isfinite(loss_terms).all() and np.isfinite(self._model.grads).all()):
            raise RunError("The loss or the gradient of the minibatch is not finite; training ends here with crash.h5.")
        blocks = 1 if self.wide else len(blocks_of(minibatch.rows))
        raise _Reached(Subject("", self._model, self.optimizer, minibatch, config, loss_terms.copy(), blocks))


class _UpToMinibatch(PPO):
    """A PPO that learns up to a minibatch of its next update, and hands it out between gradient and step."""

    def _allocate(self) -> None:
        super()._allocate()
        config, policy = self.config, self.policy
        wide = is_wide(config, policy.observations.size)
        self._gradient = self._watched = _Watched(policy.model, threads(config), wide)
        self._compiled = None  # one minibatch after the other

    def subject(self, number: int) -> Subject:
        """The `number`-th minibatch of the next update. This object cannot be used afterwards."""
        self._watched.number, self._watched.optimizer = number, self.state.optimizer
        try:
            self.learn(lambda ppo, _: ppo.stop())
        except _Reached as reached:
            return reached.subject
        seen = self._watched.seen
        raise UserError(f"minibatch is {number}, but it must be at most {seen}, where the next update ends.")
