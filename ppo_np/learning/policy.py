"""The policy: the network with the spaces of its environment and the statistics of the observations."""

from typing import Any, NamedTuple

import numpy as np
from gymnasium import Space
from gymnasium.spaces import Box, Discrete, MultiDiscrete

from kernels.finite import first_outside
from ppo_np.config import PPOConfig
from ppo_np.environments.action_masks import caller_masks
from ppo_np.environments.spaces import ActionAdapter, ObservationAdapter, brief
from ppo_np.errors import UserError, short
from ppo_np.learning.normalizer import RoundingCheck, RunningMoments
from ppo_np.network.action_head import action_head
from ppo_np.network.activations import Activations
from ppo_np.network.distributions import Parts
from ppo_np.network.model import ActorCritic


class ActingWorkspace(NamedTuple):
    """Arrays to choose B actions with."""

    inputs: np.ndarray  # (B, D), input of the network, if it is not the flat observations themselves
    activations: Activations


class Evaluated(NamedTuple):
    """What the network says about B observations."""

    workspace: ActingWorkspace
    mask: np.ndarray | None  # (B, K) int8; None if all actions are valid
    length: int | None  # B, or None for a single observation, which is one row


LARGEST_NUMBER = float(np.finfo(np.float32).max)  # infinity is larger
ALL_VALID = object()  # instead of a mask, where none matters
SIZES = "shared_sizes", "policy_sizes", "value_sizes"


class Policy:
    """Maps observations of an environment to its actions. It can be copied (`copy.deepcopy`) and pickled.

    Args:
        observation_space, action_space: of a single environment.
        config: gives the network, and whether observations are normalised.
        weights_rng: draws the initial weights; None leaves all parameters 0.

    Attributes:
        source: path of the file that it was loaded from; empty if from none.
        rng: draws the actions of `predict` if it is not given another generator; None in a `PPO`, which gives its own.
        obs_moments: running statistics of the observations; None if they are not normalised.
        rounding: warns if float32 cannot hold them; None if they are not normalised.
        preprocesses: whether the input of the network differs from the flat observations.
        obs_dtype: of the flat observations.

    Raises:
        UserError: A space is not supported.
    """

    def __init__(
        self, observation_space: Space, action_space: Space, config: PPOConfig, weights_rng: np.random.Generator | None
    ):
        self.config = config.without_functions()  # which a pickle cannot hold
        self.observations = ObservationAdapter(observation_space)
        self.actions = ActionAdapter(action_space)
        self.model = ActorCritic(self.observations.size, action_head(action_space, config), config, weights_rng)
        self.obs_moments = RunningMoments(self.observations.size) if config.norm_obs else None
        self.rounding = RoundingCheck(self.observations.size) if config.norm_obs else None
        self.obs_dtype = self.observations.dtype
        self.preprocesses = config.norm_obs or self.obs_dtype == np.uint8
        self._is_direct = self.observations.copies and self.obs_dtype == np.float32 and not self.model.head.masked
        self._obs_shape = observation_space.shape
        self.source = ""
        self.rng: np.random.Generator | None = None
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
        self, obs: Any, deterministic: bool = True, action_mask: Any = None, *, rng: np.random.Generator | None = None
    ) -> Any:
        """Choose an action for one observation, or for each observation of a batch. Threads may call this together.

        Args:
            obs: an observation as the environment returns it, or a batch as a vector environment returns it.
            deterministic: take the most probable action (of a Gaussian the mean, of a squashed one tanh of the mean);
                otherwise draw an action.
            action_mask: which actions are valid, (K,), or (B, K) for a batch: 0 or 1, or bool; needed if the policy was
                trained with masks. None allows all.
            rng: draws the actions if not deterministic; None takes the policy's own generator.

        Returns:
            An action for `env.step`, or a batch of actions with one more leading axis.

        Raises:
            UserError: `obs` is not finite, or neither in the space nor a batch of observations; or there is no
                generator; or `action_mask` is missing or malformed, allows no action, or is not possible with this
                action space.
        """
        if not deterministic and rng is None:
            rng = self._own_rng()
        evaluated = self._evaluated_directly(obs) if action_mask is None else None
        workspace, mask, length = evaluated or self._evaluated(obs, action_mask)
        outputs, distribution = workspace.activations.policy_outputs, workspace.activations.distribution
        if deterministic or rng is None:
            distribution.mode(outputs, mask)
        else:
            distribution.sample(outputs, rng, mask)
        actions = self.actions.to_env(distribution.env_actions)
        self._idle.append(workspace)
        return actions[0] if length is None else actions

    def probabilities(self, obs: Any, action_mask: Any = None) -> Any:
        """How probable each action is: 0 for invalid ones. Of actions in Discrete, MultiDiscrete or MultiBinary.

        Args:
            obs, action_mask: as for `predict`.

        Returns:
            Discrete: (K,). MultiDiscrete: a tuple with such an array for each component. MultiBinary: how probable a 1
            is, in the shape of the space. For a batch, each array has one more leading axis.

        Raises:
            UserError: The actions are in a Box; or as `predict`.
        """
        if isinstance(self.actions.space, Box):
            what = f"The policy acts in {short(self.actions.space)}, where single actions have no probability"
            raise UserError(f"{what}: distribution(obs) gives the parameters of their density.")
        return self.distribution(obs, action_mask)["probabilities"]

    def distribution(self, obs: Any, action_mask: Any = None) -> dict[str, Any]:
        """The parameters of the distribution of the action, by name.

        Discrete, MultiDiscrete, MultiBinary: logits (-inf for invalid actions), probabilities, as `probabilities`.
        Gaussian: means, log_std, of the action before it is clipped to the Box.
        squashed: means, log_std of u; the action is low + (high - low) (tanh(u) + 1) / 2.
        beta: alpha, beta of x in (0, 1); the action is low + (high - low) x.

        Args:
            obs, action_mask: as for `predict`.

        Returns:
            New arrays; for a Box in its shape. For a batch with one more leading axis; low and high have no such axis.
            Raises UserError as `predict`.
        """
        workspace, mask, length = self._evaluated(obs, action_mask)
        parameters = workspace.activations.distribution.parameters(workspace.activations.policy_outputs, mask)
        self._idle.append(workspace)
        return {name: self._shaped(part, length) for name, part in parameters.items()}

    def _shaped(self, part: Parts, length: int | None) -> Any:
        """Parameters of B rows as the user gets them: without the rows' axis for a single observation."""
        if isinstance(part, tuple):
            return tuple(self._shaped(one, length) for one in part)
        if part.ndim == 1:  # a bound
            return part.reshape(self.actions.shape)
        if not isinstance(self.actions.space, Discrete | MultiDiscrete):
            part = part.reshape(len(part), *self.actions.shape)
        return part[0] if length is None else part

    def log_prob(self, obs: Any, actions: Any, action_mask: Any = None) -> Any:
        """Log-probability of actions, or the log of their density if they are in a Box; -inf for invalid actions.

        A Gaussian's density is that of the action before it is clipped to the Box. Where rounding has put a squashed
        action or a beta one on a bound of the Box, the density is that of the next number within.

        Args:
            obs, action_mask: as for `predict`.
            actions: as `predict` returns them: one for one observation, a batch for a batch.

        Returns:
            A float, or (B,) for a batch.

        Raises:
            UserError: `actions` are not as many, or not in the action space; or as `predict`.
        """
        workspace, mask, length = self._evaluated(obs, action_mask)
        distribution = workspace.activations.distribution
        given = self.actions.from_env(actions, length, self.model.head.kind.is_bounded)
        stored = distribution.stored(given).reshape(distribution.actions.shape)
        stored = np.ascontiguousarray(stored, distribution.actions.dtype)
        distribution.forward(workspace.activations.policy_outputs, stored, mask)
        logprobs = distribution.logprobs.copy()
        self._idle.append(workspace)
        return float(logprobs[0]) if length is None else logprobs

    def value(self, obs: Any) -> Any:
        """The network's value: the expected sum of discounted rewards from here on, normalised if `norm_reward`.

        Args:
            obs: as for `predict`, without a mask.

        Returns:
            A float, or (B,) for a batch. Raises UserError as `predict`.
        """
        workspace, _, length = self._evaluated(obs)
        values = workspace.activations.values.copy()
        self._idle.append(workspace)
        return float(values[0]) if length is None else values

    def _own_rng(self) -> np.random.Generator:
        if self.rng is None:
            raise UserError("rng is None, but drawing actions (deterministic=False) needs a numpy Generator.")
        return self.rng

    def _evaluated_directly(self, obs: Any) -> Evaluated | None:
        """What `_evaluated` does for an array of floats in a Box, without a mask and without the values, only faster.

        The same bits (`python -m bench.predict` has the times). None if it is something else, or is not
        finite: then `_evaluated` says what is wrong.
        """
        if not self._is_direct or type(obs) is not np.ndarray or obs.dtype.kind != "f" or obs.shape != self._obs_shape:
            return None
        workspace = self._take_workspace(1)
        inputs, activations = workspace
        inputs[0] = obs.reshape(-1)
        if self.obs_moments:
            if first_outside(inputs[0], LARGEST_NUMBER) >= 0:
                return None
            self.obs_moments.standardize(inputs, inputs)
        place = self.model.act(inputs, LARGEST_NUMBER, activations, policy_only=True)
        return Evaluated(workspace, None, None) if place < 0 else None

    def _evaluated(self, obs: Any, action_mask: Any = ALL_VALID) -> Evaluated:
        """The outputs of the network for observations, in a workspace that goes back to `_idle` afterwards.

        Raises UserError as `predict`; by `ALL_VALID`, no mask is needed.
        """
        length = self.observations.batch_length(obs)
        mask = None if action_mask is ALL_VALID else self._mask(action_mask, length)
        workspace = self._take_workspace(1 if length is None else length)
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
        return Evaluated(workspace, mask, length)

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
        return caller_masks(action_mask, length, self.actions.space)

    def _take_workspace(self, rows: int) -> ActingWorkspace:
        """A workspace for `rows` actions that no other thread uses."""
        try:
            workspace = self._idle.pop()
        except IndexError:
            return self.workspace(rows)
        return workspace if len(workspace.inputs) == rows else self.workspace(rows)

    def __repr__(self) -> str:
        """What the policy was trained for, what it sees and does, and its network."""
        config, head = self.config, self.model.head
        parts = [
            config.env_id or "an environment without an id",
            f"{brief(self.observations.space)} -> {brief(self.actions.space)}",
            head.kind.__name__,
            *(f"{name[:-6]} {list(getattr(config, name))}" for name in SIZES if getattr(config, name)),
            config.activation,
            f"{self.model.params.size:,} parameters",
        ]
        parts += ["observations normalised"] * config.norm_obs + ["action masks"] * head.masked
        return f"<Policy: {', '.join(parts)}>"
