"""The policy: the network with the spaces of its environment and the statistics of the observations."""

from typing import Any, NamedTuple

import numpy as np
from gymnasium import Space

from ppo_np.config import PPOConfig
from ppo_np.environments.action_masks import MaskReader
from ppo_np.environments.spaces import ActionAdapter, ObservationAdapter
from ppo_np.errors import EnvironmentFault, UserError, short
from ppo_np.learning.normalizer import RoundingCheck, RunningMoments
from ppo_np.network.action_head import action_head
from ppo_np.network.activations import Activations
from ppo_np.network.model import ActorCritic


class ActingWorkspace(NamedTuple):
    """Arrays to choose B actions with."""

    inputs: np.ndarray  # (B, D), input of the network, if it is not the flat observations themselves
    activations: Activations


class Policy:
    """Maps observations of an environment to its actions. It can be copied (`copy.deepcopy`) and pickled.

    Args:
        observation_space, action_space: of a single environment.
        config: gives the network, and whether observations are normalised.
        rng: draws the initial weights; None leaves all parameters 0.

    Attributes:
        obs_moments: running statistics of the observations; None if they are not normalised.
        rounding: warns if float32 cannot hold them; None if they are not normalised.
        preprocesses: whether the input of the network differs from the flat observations.
        obs_dtype: of the flat observations.

    Raises:
        UserError: A space is not supported.
    """

    def __init__(
        self, observation_space: Space, action_space: Space, config: PPOConfig, rng: np.random.Generator | None
    ):
        self.config = config.without_functions()  # which a pickle cannot hold
        self.observations = ObservationAdapter(observation_space)
        self.actions = ActionAdapter(action_space)
        self.model = ActorCritic(self.observations.size, action_head(action_space, config), config, rng)
        self.obs_moments = RunningMoments(self.observations.size) if config.norm_obs else None
        self.rounding = RoundingCheck(self.observations.size) if config.norm_obs else None
        self.obs_dtype = self.observations.dtype
        self.preprocesses = config.norm_obs or self.obs_dtype == np.uint8
        self._idle = [self.workspace(1)]  # a call of `predict` takes one out, so that each thread has its own

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles hold: all but the workspaces, which have views into this policy's parameters."""
        return self.__dict__ | {"_idle": []}

    def workspace(self, rows: int) -> ActingWorkspace:
        """Preallocate the arrays for `rows` actions."""
        inputs = np.zeros((rows, self.observations.size), self.model.dtype)
        return ActingWorkspace(inputs, self.model.activations(rows))

    def preprocess(self, flat_obs: np.ndarray, inputs: np.ndarray, moments: RunningMoments | None = None) -> None:
        """Scale and normalise flat observations, (B, D), into `inputs`, (B, D), which may be the same array.

        Normalised by other `moments` than `obs_moments` if they are given.
        """
        moments = moments or self.obs_moments
        if flat_obs.dtype == np.uint8:
            np.multiply(flat_obs, self.observations.scale, out=inputs)
            flat_obs = inputs
        if moments:
            moments.standardize(flat_obs, inputs)
        elif inputs is not flat_obs:
            inputs[:] = flat_obs

    def predict(
        self, obs: Any, deterministic: bool = True, rng: np.random.Generator | None = None, action_mask: Any = None
    ) -> Any:
        """Choose an action for one observation, or for each observation of a batch. Threads may call this together.

        Args:
            obs: an observation as the environment returns it, or a batch as a vector environment returns it.
            deterministic: take the most probable action (of a Gaussian the mean, of a squashed one tanh of the mean);
                otherwise draw an action.
            rng: draws the actions; needed if not deterministic.
            action_mask: which actions are valid, (K,), or (B, K) for a batch: 0 or 1, or bool; needed if the policy was
                trained with masks. None allows all.

        Returns:
            An action for `env.step`, or a batch of actions with one more leading axis.

        Raises:
            UserError: `obs` is not finite, or neither in the space nor a batch of observations; or `rng` is missing; or
                `action_mask` is missing or malformed, allows no action, or is not possible with this action space.
        """
        if not deterministic and rng is None:
            raise UserError("rng is None, but drawing actions (deterministic=False) needs a numpy Generator.")
        length = self.observations.batch_length(obs)
        rows = 1 if length is None else length
        mask = self._mask(action_mask, length)
        workspace = self._take_workspace(rows)
        inputs, activations = workspace
        flat_obs = np.zeros(inputs.shape, self.obs_dtype)
        try:
            if length is None:
                self.observations.flatten_one(obs, flat_obs[0])
            else:
                self.observations.flatten(obs, flat_obs)
        except ValueError as error:
            raise UserError(f"obs has {error}.") from error
        if not np.isfinite(flat_obs).all():
            raise UserError(
                f"obs is {short(obs, 300)}, but it must be finite, and in {short(self.observations.space)} "
                "or a batch of such."
            )
        self.preprocess(flat_obs, inputs)
        self.model.forward(inputs, activations)
        distribution = activations.distribution
        if deterministic or rng is None:
            distribution.mode(activations.policy_outputs, mask)
        else:
            distribution.sample(activations.policy_outputs, rng, mask)
        actions = self.actions.to_env(distribution.env_actions)
        self._idle.append(workspace)
        return actions[0] if length is None else actions

    def _mask(self, action_mask: Any, length: int | None) -> np.ndarray | None:
        """The mask of `predict` as (B, K) int8; None if all actions are valid."""
        head, setting = self.model.head, self.config.action_mask
        if action_mask is None:
            if head.masked:
                raise UserError(f"action_mask is None, but the policy was trained with masks ({setting}): give them.")
            return None
        if not head.kind.takes_mask:
            allowed = "only actions in Discrete or MultiDiscrete have masks"
            raise UserError(f"action_mask is {short(action_mask)}, but {allowed}, not {short(self.actions.space)}.")
        reader = MaskReader("info:action_mask", self.actions.space)
        try:
            masks = [action_mask] if length is None else list(action_mask)
        except TypeError:
            masks = []
        if length is not None and len(masks) != length:
            raise UserError(f"action_mask is {short(action_mask)}, but it must have a row for each of {length} rows.")
        try:
            checked = [reader.checked(mask, "the caller") for mask in masks]
        except EnvironmentFault as fault:
            raise UserError(f"action_mask cannot be used: {fault}.") from None
        return np.array(checked, np.int8).reshape(-1, reader.width)

    def _take_workspace(self, rows: int) -> ActingWorkspace:
        """A workspace for `rows` actions that no other thread uses."""
        try:
            workspace = self._idle.pop()
        except IndexError:
            return self.workspace(rows)
        return workspace if len(workspace.inputs) == rows else self.workspace(rows)
