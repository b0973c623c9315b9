"""What a rollout does in each step: flat observations, the network, and actions; and what it raises if that fails."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, NoReturn

import numpy as np

from kernels.acting import FINE
from kernels.finite import all_finite
from ppo_np.environments.observed import Observed
from ppo_np.environments.stream import LARGEST, EnvStream, Transition
from ppo_np.learning.policy import ActingWorkspace, Policy
from ppo_np.learning.rollout_buffer import RolloutBuffer, RolloutReport
from ppo_np.network.distributions import Rng
from ppo_np.network.tensor_trace import NotFiniteError, acting_stages, sampling_stages

VALUE_ROWS = 256  # whose values are computed together


def observe_and_act(
    stream: EnvStream, policy: Policy, workspace: ActingWorkspace, buffer: RolloutBuffer, t: int, rng: Rng
) -> np.ndarray:
    """Draw actions for the current observations; store both, with log-probabilities, in row t.

    Also the values, unless the network is `separate`: then `RolloutValues` computes them all later.

    Returns:
        The actions as numbers of the action space, (N, ...).
    """
    activations, distribution = workspace.activations, workspace.activations.distribution
    flatten_obs(stream, policy, buffer.obs[t])
    run_network(stream, policy, buffer.obs[t], workspace, policy_only=policy.model.separate)
    mask = stream.observed.action_mask
    if buffer.action_masks is not None and mask is not None:
        buffer.action_masks[t] = mask
    distribution.sample(activations.policy_outputs, rng, mask)
    if not all_finite(distribution.logprobs):
        raise_of_sampling(policy, buffer.obs[t], workspace)
    if not policy.model.separate:
        buffer.values[t] = activations.values
    buffer.actions[t], buffer.logprobs[t] = distribution.actions, distribution.logprobs
    return distribution.env_actions


def run_network(
    stream: EnvStream, policy: Policy, flat_obs: np.ndarray, workspace: ActingWorkspace, policy_only: bool = False
) -> None:
    """Run the network on flat observations, (N, D). With `policy_only`, the values are not computed.

    Raises:
        EnvironmentFault: An observation is not finite or too large.
        NotFiniteError: An output of the network is not finite.
    """
    inputs = flat_obs
    if policy.preprocesses:
        stream.check_obs(flat_obs)
        inputs = workspace.inputs
        policy.preprocess(flat_obs, inputs)
    if policy.model.act(inputs, LARGEST, workspace.activations, policy_only) != FINE:
        raise_of_network(stream, policy, flat_obs, workspace)


class RolloutValues:
    """V of all observations of a rollout, whose network is `separate`: many rows at once take less time than each step.

    Args:
        policy, buffer: as for `collect`.
        other_thread: computes some of them while the rollout goes on; None if there is none.
    """

    def __init__(self, policy: Policy, buffer: RolloutBuffer, other_thread: Executor | None = None):
        self._policy, self._buffer, self._other_thread = policy, buffer, other_thread
        self._values = buffer.values[:-1].reshape(-1)
        self._done, self._fine = 0, True  # rows, and whether all values are finite
        self._pending: Future[bool] | None = None

    def begin(self, steps: int) -> None:
        """Let the other thread compute the values of the first steps of the buffer, in the blocks of `finish`."""
        whole_blocks = steps * self._buffer.values.shape[1] // VALUE_ROWS * VALUE_ROWS
        if self._other_thread and whole_blocks > self._done:
            self._pending = self._other_thread.submit(self._compute, self._done, whole_blocks)
            self._done = whole_blocks

    def wait(self) -> None:
        """Wait for what has begun."""
        if self._pending:
            self._fine = self._pending.result() and self._fine
            self._pending = None

    def finish(self, stream: EnvStream, workspace: ActingWorkspace, report: RolloutReport) -> None:
        """Compute the rest of the values, when the rollout is full. Raises as `run_network`."""
        if self._compute(self._done, len(self._values)) and self._fine:
            return
        for t, obs in enumerate(self._buffer.obs):  # to raise with the first step that has such a value
            report.filled = t
            run_network(stream, self._policy, obs, workspace)
        raise_of_network(stream, self._policy, obs, workspace)

    def _compute(self, first: int, end: int) -> bool:
        """Compute the values of rows in blocks; returns whether all are finite."""
        policy, model, flat_obs = self._policy, self._policy.model, self._buffer.obs.reshape(len(self._values), -1)
        scratch = np.empty(VALUE_ROWS * model.scratch_size, model.dtype)
        inputs = np.empty((VALUE_ROWS, model.obs_size), model.dtype)
        for start in range(first, end, VALUE_ROWS):
            rows = slice(start, start + VALUE_ROWS)
            x = flat_obs[rows]
            if policy.preprocesses:
                x = inputs[: len(x)]
                policy.preprocess(flat_obs[rows], x)
            if model.evaluate(x, LARGEST, scratch, self._values[rows]) != FINE:
                return False
        return True


def raise_of_network(stream: EnvStream, policy: Policy, flat_obs: np.ndarray, workspace: ActingWorkspace) -> NoReturn:
    """Raise what `run_network` raises, after the network has met or given a number that is not finite."""
    stream.check_obs(flat_obs)
    _fill_layers(policy, flat_obs, workspace)
    raise NotFiniteError(acting_stages(policy.model, *workspace))


def raise_of_sampling(policy: Policy, flat_obs: np.ndarray, workspace: ActingWorkspace) -> NoReturn:
    """Raise NotFiniteError, after a log-probability of a drawn action was not finite."""
    _fill_layers(policy, flat_obs, workspace)
    raise NotFiniteError(sampling_stages(policy.model, *workspace))


def _fill_layers(policy: Policy, flat_obs: np.ndarray, workspace: ActingWorkspace) -> None:
    """Compute the outputs of the hidden layers, which acting does not keep; leave the network's outputs unchanged."""
    inputs, activations = workspace
    outputs = activations.policy_outputs.copy(), activations.values.copy()
    policy.preprocess(flat_obs, inputs)
    policy.model.forward(inputs, activations)
    activations.policy_outputs[:], activations.values[:] = outputs


def flatten_obs(stream: EnvStream, policy: Policy, flat_obs: np.ndarray) -> None:
    """Write the current observations into `flat_obs`, (N, D).

    Raises:
        EnvironmentFault: They are not in their space.
    """
    obs = stream.observed.obs
    if stream.checked and policy.observations.copies:
        flat_obs[:] = obs.reshape(flat_obs.shape)
    else:
        _flatten(stream, policy.observations.flatten, obs, flat_obs)


def evaluate_final(
    stream: EnvStream, transition: Transition, final: Observed, policy: Policy, workspace: ActingWorkspace,
    final_values: np.ndarray,
) -> None:  # fmt: skip
    """Write V(final observation) of the episodes that this step truncated into `final_values`, (N,)."""
    truncated = np.flatnonzero(transition.truncations & ~transition.terminations)
    if not len(truncated):
        return
    flat_obs = np.zeros(workspace.inputs.shape, policy.obs_dtype)
    if stream.checked and policy.observations.copies:
        flat_obs[truncated] = [np.asarray(final.obs[n]).reshape(-1) for n in truncated]
    elif isinstance(final.obs, dict | tuple):  # batched: the parts of environments without a final one have no meaning
        _flatten(stream, policy.observations.flatten, final.obs, flat_obs)
        flat_obs[~transition.truncations] = 0
    else:
        for n in truncated:
            _flatten(stream, policy.observations.flatten_one, final.obs[n], flat_obs[n])
    run_network(stream, policy, flat_obs, workspace)
    final_values[truncated] = workspace.activations.values[truncated]


def _flatten(stream: EnvStream, flatten: Callable, observations: Any, flat_obs: np.ndarray) -> None:
    try:
        flatten(observations, flat_obs)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise stream.fault(f"the environments gave observations that do not fit their space ({reason})") from error
