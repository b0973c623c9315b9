"""A policy that acts: the network together with the spaces of its environment."""

import gymnasium
import numpy as np

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError
from ppo_np.model import ActorCritic
from ppo_np.spaces import ActionAdapter, ObservationAdapter


class Policy:
    """Maps observations of an environment to its actions.

    Args:
        observation_space, action_space: of a single environment.
        config: gives the network.
        rng: source of the initial weights.

    Raises:
        UserError: A space is not supported.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space,
        action_space: gymnasium.Space,
        config: PPOConfig,
        rng: np.random.Generator,
    ):
        self.config = config
        self.observations = ObservationAdapter(observation_space)
        self.actions = ActionAdapter(action_space)
        self.model = ActorCritic(self.observations.size, self.actions.size, config, rng)
        self._batch = self.model.batch(1)

    def predict(self, obs, deterministic: bool = True, rng: np.random.Generator | None = None):
        """Choose an action for one observation, or one for each of a batch.

        Args:
            obs: an observation as the environment gives it, or a stack of them with one more leading axis.
            deterministic: take the most probable action; otherwise draw from the distribution.
            rng: randomness for drawing; needed unless deterministic.

        Returns:
            An action for `env.step`: a scalar int64 for one observation, (B,) for a batch of B.

        Raises:
            UserError: The shape of `obs` is not the space's, with or without a leading axis; or `rng` is missing.
        """
        obs = np.asarray(obs)
        shape = self.observations.space.shape
        single = obs.shape == shape
        if not single and (obs.ndim != len(shape) + 1 or obs.shape[1:] != shape):
            raise UserError(f"obs has shape {obs.shape}, but it must be {shape} or (B, {str(shape)[1:]}.")
        if not deterministic and rng is None:
            raise UserError("rng is None, but drawing actions (deterministic=False) needs a numpy Generator.")
        rows = obs[np.newaxis] if single else obs
        if len(rows) != self._batch.rows:
            self._batch = self.model.batch(len(rows))
        self.observations.flatten(rows, self._batch.obs)
        self.model.forward(self._batch)
        if deterministic:
            self._batch.distribution.mode(self._batch.logits)
        else:
            self._batch.distribution.sample(self._batch.logits, rng)
        actions = self.actions.to_env(self._batch.distribution.actions).copy()
        return actions[0] if single else actions
