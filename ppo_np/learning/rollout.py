"""The rollout: T steps of N environments under the current policy, and the advantages computed from them."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import chain
from operator import itemgetter
from time import perf_counter
from typing import Any

import numpy as np

from kernels.acting import FINE
from kernels.advantage import gae
from kernels.finite import all_finite
from ppo_np.distributed.ranks import ALONE, Ranks
from ppo_np.environments.observed import Observed
from ppo_np.environments.stream import LARGEST, EnvStream, Episode, Transition
from ppo_np.learning.minibatches import MinibatchSlice
from ppo_np.learning.normalizer import RunningMoments, merge_moments
from ppo_np.learning.policy import ActingWorkspace, Policy
from ppo_np.network.distributions import Rng
from ppo_np.network.minibatch import Minibatch
from ppo_np.network.tensor_trace import NotFiniteError, acting_stages, sampling_stages


class RolloutBuffer:
    """Preallocated arrays for the T x N transitions of one rollout.

    Attributes:
        obs: (T, N, D), flat observations, uint8 or float32; `normalize_obs` replaces those in float32 by normalised
            ones. Those in uint8 are scaled and normalised in each minibatch.
        actions: (T, N, ...), as drawn; for some distributions as other numbers than the environment receives.
        action_masks: (T, N, K) int8, 1 where an action was valid; None without masks.
        logprobs, rewards, advantages, returns: (T, N).
        terminations, truncations: (T, N) bool.
        valid: (T, N) bool, False in reset rows, which are not learned from.
        values: (T+1, N), the last row for the observation that follows the rollout.
        final_values: (T, N), V(final observation) where an episode was truncated.
    """

    def __init__(self, num_steps: int, num_envs: int, policy: Policy):
        shape, dtype = (num_steps, num_envs), policy.model.dtype
        self.obs = np.zeros((*shape, policy.observations.size), policy.obs_dtype)
        self.actions = policy.model.actions(*shape)
        head = policy.model.head
        self.action_masks = np.ones((*shape, head.outputs), np.int8) if head.masked else None
        self.logprobs, self.rewards, self.final_values, self.advantages, self.returns = np.zeros((5, *shape), dtype)
        self.terminations, self.truncations, self.valid = np.zeros((3, *shape), bool)
        self.values = np.zeros((num_steps + 1, num_envs), dtype)
        # Views with all transitions in one axis.
        self._flat_obs, self._flat_actions = (a.reshape(-1, *a.shape[2:]) for a in (self.obs, self.actions))
        self._flat_masks = None if self.action_masks is None else self.action_masks.reshape(-1, head.outputs)
        loss_inputs = self.logprobs, self.values[:-1], self.advantages, self.returns
        self._flat_loss_inputs = [array.reshape(-1) for array in loss_inputs]
        self._minibatches: dict[int, Minibatch] = {}  # by rows; all share the memory of the largest
        self._moments: RunningMoments | None = None  # with which observations in uint8 are normalised

    @property
    def dones(self) -> np.ndarray:
        """(T, N) bool, where an episode ended."""
        return self.terminations | self.truncations

    def normalize_obs(self, policy: Policy, ranks: Ranks = ALONE) -> None:
        """Replace `obs` by the inputs of the network, and add them to the policy's statistics for the next rollout.

        The statistics do not change within a rollout, so the network learns from the inputs that it acted on.
        """
        moments, valid = policy.obs_moments, self.valid.reshape(-1)
        assert moments is not None
        used = deepcopy(moments)
        if self.obs.dtype == np.uint8:
            moments.update_scaled(self._flat_obs, policy.observations.scale, valid, ranks)
            self._moments = used
        else:
            moments.update(self._flat_obs, valid, ranks)
            used.standardize(self._flat_obs, self._flat_obs)

    def compute_advantages(self, gamma: float, gae_lambda: float) -> None:
        """Fill `advantages` and `returns`; their values in reset rows have no meaning."""
        gae(
            self.rewards, self.values, self.final_values, self.terminations, self.truncations,
            gamma, gae_lambda, self.advantages, self.returns,
        )  # fmt: skip

    def minibatch(self, part: MinibatchSlice, policy: Policy) -> Minibatch:
        """This rank's rows of a minibatch, in arrays that the next call may overwrite."""
        rows = len(part.indices)
        if rows not in self._minibatches:
            largest = max(self._minibatches, default=-1)
            if rows > largest:
                self._minibatches = {rows: policy.model.minibatch(rows)}
            else:
                self._minibatches[rows] = self._minibatches[largest].part(0, rows)
        minibatch = self._minibatches[rows]
        self.gather(part.indices, policy, minibatch)
        minibatch.total = part.total
        return minibatch

    def gather(self, indices: np.ndarray, policy: Policy, minibatch: Minibatch) -> None:
        """Copy the transitions with these flat indices, (B,), into a minibatch."""
        if self._flat_obs.dtype == minibatch.obs.dtype:
            self._flat_obs.take(indices, 0, minibatch.obs, "clip")
        else:
            policy.preprocess(self._flat_obs[indices], minibatch.obs, self._moments)
        self._flat_actions.take(indices, 0, minibatch.actions, "clip")
        if self._flat_masks is not None:
            self._flat_masks.take(indices, 0, minibatch.action_mask, "clip")
        for source, target in zip(self._flat_loss_inputs, minibatch.loss_inputs, strict=True):
            source.take(indices, 0, target, "clip")

    def explained_variance(self, ranks: Ranks = ALONE) -> float:
        """1 - Var(returns - values) / Var(returns) over the valid rows of all ranks; NaN if Var(returns) is 0."""
        returns = self.returns[self.valid].astype(np.float64)
        both = np.stack([returns, returns - self.values[:-1][self.valid]])
        moments = (both.mean(axis=1), both.var(axis=1)) if returns.size else np.zeros((2, 2))
        groups = ranks.allgather_array(np.array([np.full(2, returns.size), *moments]))
        if not groups[:, 0].any():
            return float("nan")
        variance, rest = groups[0, 2] if ranks.size == 1 else merge_moments(*groups.transpose(1, 0, 2))[2]
        return float(1 - rest / variance) if variance > 0 else float("nan")


@dataclass
class RolloutReport:
    """Counts and times of a rollout.

    Attributes:
        filled: time steps of the buffer that are filled, 0 to T.
        steps: environment steps, without reset rows.
        episodes: finished episodes. ends: for each of them, the time step in which it ended.
        time, time_env, time_inference: seconds in total, in the environments, and choosing actions.
        rewards: their sum, as the environments gave them.
    """

    filled: int = 0
    steps: int = 0
    episodes: list[Episode] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    time: float = 0.0
    time_env: float = 0.0
    time_inference: float = 0.0
    rewards: float = 0.0

    def finish(self, buffer: RolloutBuffer, start_time: float) -> "RolloutReport":
        """Count steps, rewards and the seconds since `start_time`, when the rollout is full or was stopped."""
        valid = buffer.valid[: self.filled]
        self.steps = int(np.count_nonzero(valid))
        self.rewards = float(buffer.rewards[: self.filled].sum(where=valid, dtype=np.float64))
        self.time = perf_counter() - start_time
        self.time_inference = self.time - self.time_env
        return self

    def of_all(self, ranks: Ranks) -> "RolloutReport":
        """This report with the steps, rewards and episodes of all ranks; the seconds are those of this rank."""
        if ranks.size == 1:
            return self
        mine = self.steps, self.rewards, self.ends, self.episodes
        steps, rewards, ends, episodes = zip(*ranks.allgather(mine), strict=True)
        in_order = sorted(zip(chain(*ends), chain(*episodes), strict=True), key=itemgetter(0))
        when, which = [t for t, _ in in_order], [episode for _, episode in in_order]
        return replace(self, steps=sum(steps), rewards=sum(rewards), ends=when, episodes=which)


def collect(
    stream: EnvStream,
    policy: Policy,
    workspace: ActingWorkspace,
    buffer: RolloutBuffer,
    rng: Rng,
    stopped: Callable[[], bool],
    report: RolloutReport | None = None,
) -> RolloutReport:
    """Fill the buffer with T steps of N environments; stop between two steps when `stopped()` is true.

    Args:
        stream: the environments. policy: acts. workspace: for N actions.
        buffer: overwritten, except advantages and returns.
        rng: draws the actions. stopped: called before each step.
        report: of a stopped rollout, which is then continued; None begins a new one.

    Raises:
        EnvironmentFault: An environment failed, or gave numbers that are not finite.
        NotFiniteError: An output of the network is not finite; the environments were not stepped with it.
    """
    report = report or RolloutReport()
    start_time = perf_counter() - report.time
    for t in range(report.filled, len(buffer.rewards)):
        if stopped():
            return report.finish(buffer, start_time)
        actions = _observe_and_act(stream, policy, workspace, buffer, t, rng)
        start = perf_counter()
        transition = stream.step(policy.actions.to_env(actions))
        report.time_env += perf_counter() - start
        buffer.rewards[t], buffer.terminations[t], buffer.truncations[t], buffer.valid[t] = transition[:4]
        if transition.final:
            _evaluate_final(stream, transition, transition.final, policy, workspace, buffer.final_values[t])
        report.filled += 1
        report.episodes += transition.episodes
        report.ends += [t] * len(transition.episodes)
    # The value of the observation that follows the rollout.
    flat_obs = np.zeros_like(buffer.obs[0])
    flatten_obs(stream, policy, flat_obs)
    _run_network(stream, policy, flat_obs, workspace)
    buffer.values[-1] = workspace.activations.values
    if policy.rounding:
        exact_obs = np.zeros(flat_obs.shape)
        flatten_obs(stream, policy, exact_obs)
        policy.rounding.add(exact_obs)
    if stream.next_step:
        # The row after an episode's last one holds its final observation.
        buffer.final_values[:] = buffer.values[1:]
    return report.finish(buffer, start_time)


def _observe_and_act(
    stream: EnvStream, policy: Policy, workspace: ActingWorkspace, buffer: RolloutBuffer, t: int, rng: Rng
) -> np.ndarray:
    """Draw actions for the current observations; store both, with log-probabilities and values, in row t.

    Returns:
        The actions as numbers of the action space, (N, ...).
    """
    activations, distribution = workspace.activations, workspace.activations.distribution
    flatten_obs(stream, policy, buffer.obs[t])
    _run_network(stream, policy, buffer.obs[t], workspace)
    mask = stream.observed.action_mask
    if buffer.action_masks is not None and mask is not None:
        buffer.action_masks[t] = mask
    distribution.sample(activations.policy_outputs, rng, mask)
    if not all_finite(distribution.logprobs):
        _fill_layers(policy, buffer.obs[t], workspace)
        raise NotFiniteError(sampling_stages(policy.model, *workspace))
    buffer.values[t] = activations.values
    buffer.actions[t], buffer.logprobs[t] = distribution.actions, distribution.logprobs
    return distribution.env_actions


def _run_network(stream: EnvStream, policy: Policy, flat_obs: np.ndarray, workspace: ActingWorkspace) -> None:
    """Run the network on flat observations, (N, D).

    Raises:
        EnvironmentFault: An observation is not finite or too large.
        NotFiniteError: An output of the network is not finite.
    """
    inputs = flat_obs
    if policy.preprocesses:
        stream.check_obs(flat_obs)
        inputs = workspace.inputs
        policy.preprocess(flat_obs, inputs)
    if policy.model.act(inputs, LARGEST, workspace.activations) == FINE:
        return
    stream.check_obs(flat_obs)
    _fill_layers(policy, flat_obs, workspace)
    raise NotFiniteError(acting_stages(policy.model, *workspace))


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


def _evaluate_final(
    stream: EnvStream, transition: Transition, final: Observed, policy: Policy, workspace: ActingWorkspace,
    final_values: np.ndarray,
) -> None:  # fmt: skip
    """Write V(final observation) of the episodes that this step truncated into `final_values`, (N,)."""
    truncated = np.flatnonzero(transition.truncations & ~transition.terminations)
    if not len(truncated):
        return
    flat_obs = np.zeros(workspace.inputs.shape, policy.obs_dtype)
    if isinstance(final.obs, dict | tuple):  # batched: the parts of environments without a final one have no meaning
        _flatten(stream, policy.observations.flatten, final.obs, flat_obs)
        flat_obs[~transition.truncations] = 0
    else:
        for n in truncated:
            _flatten(stream, policy.observations.flatten_one, final.obs[n], flat_obs[n])
    _run_network(stream, policy, flat_obs, workspace)
    final_values[truncated] = workspace.activations.values[truncated]


def _flatten(stream: EnvStream, flatten: Callable, observations: Any, flat_obs: np.ndarray) -> None:
    try:
        flatten(observations, flat_obs)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise stream.fault(f"the environments gave observations that do not fit their space ({reason})") from error
