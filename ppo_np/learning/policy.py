"""A policy that acts: the network together with the spaces of its environment and the statistics of observations."""

import gymnasium
import numpy as np

from ppo_np.config import PPOConfig
from ppo_np.environments.spaces import ActionAdapter, ObservationAdapter
from ppo_np.errors import UserError, check
from ppo_np.learning.normalizer import RunningMoments
from ppo_np.network.model import ActorCritic


class Policy:
    """Maps observations of an environment to its actions.

    Args:
        observation_space, action_space: of a single environment.
        config: gives the network, and whether observations are normalised.
        rng: source of the initial weights; None leaves all parameters 0, to be filled.

    Attributes:
        obs_moments: running statistics of the observations; None if they are not normalised.
        encodes: whether the network sees other numbers than those rows.
        obs_dtype: of rows that hold flat observations as the environment gave them.

    Raises:
        UserError: A space is not supported.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space,
        action_space: gymnasium.Space,
        config: PPOConfig,
        rng: np.random.Generator | None,
    ):
        self.config = config
        self.observations = ObservationAdapter(observation_space)
        self.actions = ActionAdapter(action_space)
        self.model = ActorCritic(self.observations.size, self.actions.head, config, rng)
        self.obs_moments = RunningMoments(self.observations.size) if config.norm_obs else None
        self.obs_dtype = self.model.dtype if config.norm_obs else self.observations.dtype
        self.encodes = config.norm_obs or self.obs_dtype == np.uint8
        self._batch = self.model.batch(1)

    def encode(self, rows: np.ndarray, inputs: np.ndarray) -> None:
        """Write what the network sees of flat observations, both (B, D): scaled or normalised as the settings say.

        Args:
            rows: of `obs_dtype`.
            inputs: output, overwritten; may be rows.
        """
        if self.obs_moments:
            self.obs_moments.standardize(rows, inputs)
        elif rows.dtype == np.uint8:
            np.multiply(rows, self.observations.scale, out=inputs)
        elif inputs is not rows:
            inputs[:] = rows

    def predict(self, obs, deterministic: bool = True, rng: np.random.Generator | None = None):
        """Choose an action for one observation, or one for each of a batch.

        Args:
            obs: an observation as the environment gives it, or a batch as a vector environment gives it.
            deterministic: take the most probable action (for real numbers: the mean); otherwise draw from the
                distribution.
            rng: randomness for drawing; needed unless deterministic.

        Returns:
            An action for `env.step`, or a batch of them with one more leading axis.

        Raises:
            UserError: `obs` is not in the space, and no batch of such, or not finite; or `rng` is missing.
        """
        if not deterministic and rng is None:
            raise UserError("rng is None, but drawing actions (deterministic=False) needs a numpy Generator.")
        length = self.observations.batch_length(obs)
        batch = self._batch_of(1 if length is None else length)
        rows = np.zeros(batch.obs.shape, self.obs_dtype)
        try:
            if length is None:
                self.observations.flatten_one(obs, rows[0])
            else:
                self.observations.flatten(obs, rows)
        except ValueError as error:
            raise UserError(f"obs has {error}.") from error
        check(np.isfinite(rows).all(), "obs", obs, f"finite, and in {self.observations.space} or a batch of such")
        self.encode(rows, batch.obs)
        self.model.forward(batch)
        if deterministic:
            batch.distribution.mode(batch.pi_out)
        else:
            batch.distribution.sample(batch.pi_out, rng)
        actions = self.actions.to_env(batch.distribution.actions)
        return actions[0] if length is None else actions

    def _batch_of(self, rows: int):
        if rows != self._batch.rows:
            self._batch = self.model.batch(rows)
        return self._batch
