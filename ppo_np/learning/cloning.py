"""Behaviour cloning: the network learns to make the actions of demonstrations likely (Pomerleau 1991).

    L_BC = -mean_b log pi(a_b | s_b)

PPO's loss may have c_BC L_BC as one more term, with a weight that falls (Rajeswaran et al. 2018, equation 6, has one).
The kernels are those of PPO: forward pass, distribution, and back. Derivation: docs/gradients.md, "Behaviour cloning".
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from gymnasium import Space
from gymnasium.spaces import Box

from kernels.optimizer import global_norm
from ppo_np.config import PPOConfig
from ppo_np.distributed.ranks import ALONE
from ppo_np.learning.demonstrations import Demonstrations, read_demonstrations
from ppo_np.learning.minibatches import even_parts, shuffled
from ppo_np.learning.normalizer import RewardScaler
from ppo_np.learning.policy import Policy
from ppo_np.network.activations import Activations
from ppo_np.network.minibatch import Minibatch
from ppo_np.network.model import ActorCritic
from ppo_np.network.optimizer import Optimizer, clip_gradient
from ppo_np.saving.checkpoint import Checkpoint, capture
from ppo_np.saving.training_state import RNGS, TrainingState

SCORED = 1024  # rows in memory at a time


def cloning_loss(model: ActorCritic, minibatch: Minibatch, activations: Activations) -> float:
    """L_BC of a minibatch by a forward pass, in float64. Only its obs, actions and action_mask are used."""
    model.forward(minibatch.obs, activations)
    distribution = activations.distribution
    distribution.forward(activations.policy_outputs, minibatch.actions, minibatch.action_mask)
    return -float(distribution.logprobs.mean(dtype=np.float64))


def cloning_loss_backward(dloss: float, dlogprobs: np.ndarray, dentropies: np.ndarray, dvalues: np.ndarray) -> None:
    """Gradient of L_BC with respect to log pi, H and V, (B,) each, which are overwritten.

    L_BC = -1/B sum_b log pi_b, so dlogpi_b = -dloss/B. Entropies and values are not in it: dH_b = dV_b = 0.
    """
    dlogprobs[:] = -dloss / len(dlogprobs)
    dentropies[:] = 0
    dvalues[:] = 0


def cloning_loss_and_gradient(
    model: ActorCritic, minibatch: Minibatch, activations: Activations, dloss: float = 1.0
) -> float:
    """L_BC of a minibatch and, in the gradient that `activations` write to, dloss times its gradient.

    Args:
        model: the network. minibatch: B rows. activations: workspace for B rows.
        dloss: upstream gradient of the loss.
    """
    loss = cloning_loss(model, minibatch, activations)
    cloning_loss_backward(dloss, activations.dlogprobs, activations.dentropies, activations.dvalues)
    activations.distribution.backward(
        activations.dlogprobs, activations.dentropies, activations.policy_outputs, minibatch.actions,
        activations.dpolicy_outputs, minibatch.action_mask,
    )  # fmt: skip
    model.backward(minibatch.obs, activations)
    return loss


class CloningTerm:
    """The term c_BC L_BC of PPO's loss: adds its gradient to that of a minibatch.

    Each time it is the gradient of other rows, drawn with replacement from the demonstrations, as many as the minibatch
    has. It has no state but the generator, so a run that is resumed goes on exactly.

    Args:
        policy: learns. data: demonstrations. rows: of a minibatch. rng: draws the rows.
    """

    def __init__(self, policy: Policy, data: Demonstrations, rows: int, rng: np.random.Generator):
        self._policy, self._data, self._rng = policy, data, rng
        self._minibatch = policy.model.minibatch(rows)
        self._grads = np.zeros_like(policy.model.grads)
        self._activations = policy.model.activations(rows, self._grads)

    @classmethod
    def of(cls, config: PPOConfig, policy: Policy, rng: np.random.Generator) -> "CloningTerm":
        """The term for the demonstrations of `config.bc_dataset`; raises UserError as `read_demonstrations`."""
        return cls(policy, read_demonstrations(config.bc_dataset, policy, "bc_dataset"), config.minibatch_size, rng)

    def add_gradient(self, bc_coef: float) -> float:
        """Add c_BC times the gradient of L_BC to the model's `grads`, and return L_BC."""
        minibatch, model = self._minibatch, self._policy.model
        self._data.gather(self._rng.integers(len(self._data), size=minibatch.rows), self._policy, minibatch)
        loss = cloning_loss_and_gradient(model, minibatch, self._activations, bc_coef)
        model.grads += self._grads
        return loss


class Student:
    """A network that clones, with all that a checkpoint of a new run holds.

    Args:
        observation_space, action_space: of a single environment.
        config: of the run. The initial weights are those that a run with this seed has.

    Attributes:
        policy: what learns.
    """

    def __init__(self, observation_space: Space, action_space: Space, config: PPOConfig):
        self.config = config
        weights_rng, *self._rngs = map(np.random.default_rng, np.random.SeedSequence(config.seed).spawn(4))
        self.policy = Policy(observation_space, action_space, config, weights_rng)

    def split(self, data: Demonstrations, held_out: float) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the rows to learn from, and of those held out: about this share, in whole episodes if possible."""
        groups = np.arange(len(data)) if data.episodes is None else data.episodes
        number = int(groups[-1]) + 1
        order = np.random.default_rng(self.config.seed).permutation(number)
        wanted = max(round(held_out * number), 1) if held_out else 0
        out = np.isin(groups, order[: min(wanted, number - 1)])
        return np.flatnonzero(~out), np.flatnonzero(out)

    def epochs(self, data: Demonstrations, rows: np.ndarray, epochs: int, minibatch_size: int) -> Iterator[float]:
        """Learn in epochs of minibatches from some rows of the demonstrations; yields the mean loss of each epoch.

        The statistics of the observations are those of these rows. The learning rate is that of the settings, with its
        schedule by the share of the epochs that is left, and the gradient is clipped as in PPO.

        Args:
            data: demonstrations. rows: (R,), indices of those to learn from.
            epochs: how often each row is used. minibatch_size: rows of a minibatch; sizes may differ by one.
        """
        policy, config, model = self.policy, self.config.with_functions(), self.policy.model
        self._add_statistics(data.obs[rows])
        optimizer = Optimizer(model.params, model.grads, config, model.value_start)
        sizes = even_parts(len(rows), max(1, round(len(rows) / minibatch_size)))
        workspaces = {size: (model.minibatch(size), model.activations(size)) for size in set(sizes)}
        for epoch in range(epochs):
            learning_rate = config.values_at(1 - epoch / epochs).get("learning_rate", config.learning_rate)
            (order,) = shuffled(rows.copy(), 1, self._rngs[RNGS.index("minibatch_rng")])
            total = 0.0
            for part in np.split(order, np.cumsum(sizes)[:-1]):
                minibatch, activations = workspaces[len(part)]
                data.gather(part, policy, minibatch)
                total += cloning_loss_and_gradient(model, minibatch, activations) * len(part)
                clip_gradient(model.grads, global_norm(model.grads), model.value_start, config)
                optimizer.step(learning_rate)
            yield total / len(rows)

    def _add_statistics(self, obs: np.ndarray) -> None:
        moments, all_rows = self.policy.obs_moments, np.ones(len(obs), bool)
        if moments and obs.dtype == np.uint8:
            moments.update_scaled(obs, self.policy.observations.scale, all_rows)
        elif moments:
            moments.update(obs, all_rows)

    def checkpoint(self) -> Checkpoint:
        """A checkpoint of a run that has these weights and has not begun: Adam, counters and generators are new."""
        config, model = self.config, self.policy.model
        scaler = RewardScaler(config.num_envs, config.gamma) if config.norm_reward else None
        rngs = map(np.random.default_rng, np.random.SeedSequence(config.seed).spawn(4)[1:])
        statistics = {"obs": self.policy.obs_moments, "reward": scaler}
        state = TrainingState(
            model=model,
            optimizer=Optimizer(model.params, model.grads, config, model.value_start),
            normalizers={name: normalizer for name, normalizer in statistics.items() if normalizer},
            rngs=dict(zip(RNGS, rngs, strict=True)),
            adaptive_lr=None if config.kl_adaptive_lr is None else config.learning_rate,
        )
        spaces = self.policy.observations.space, self.policy.actions.space
        return capture(state, config, None, state.rngs["action_rng"].bit_generator.state, ALONE, *spaces)


class Score(NamedTuple):
    """How well a policy predicts demonstrations.

    Attributes:
        log_likelihood: mean log pi(a | s), in nats; of a density for actions in a Box.
        agreement: share of rows in which the greedy action is that of the demonstration, or, for actions in a Box, the
            mean absolute difference of the two.
    """

    log_likelihood: float
    agreement: float


def score(policy: Policy, data: Demonstrations, rows: np.ndarray) -> Score:
    """Score a policy on some rows of the demonstrations, (R,), R >= 1."""
    likelihood = agreement = 0.0
    for part in np.split(rows, range(SCORED, len(rows), SCORED)):
        minibatch, activations = policy.model.minibatch(len(part)), policy.model.activations(len(part))
        data.gather(part, policy, minibatch)
        likelihood -= cloning_loss(policy.model, minibatch, activations) * len(part)
        activations.distribution.mode(activations.policy_outputs, minibatch.action_mask)
        greedy, given = activations.distribution.env_actions, data.env_actions[part].reshape(len(part), -1)
        if isinstance(policy.actions.space, Box):
            clipped = policy.actions.to_env(greedy).reshape(len(part), -1)
            agreement += float(np.abs(clipped - given).mean(axis=1).sum())
        else:
            agreement += int((greedy.reshape(len(part), -1) == given).all(axis=1).sum())
    return Score(likelihood / len(rows), agreement / len(rows))


def agreement_name(policy: Policy) -> str:
    """What `Score.agreement` is for this policy."""
    return "mean_absolute_error" if isinstance(policy.actions.space, Box) else "accuracy"
