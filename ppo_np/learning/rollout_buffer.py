"""The rollout as arrays: T steps of N environments, their advantages, and a report of what happened."""

from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import chain
from operator import itemgetter
from time import perf_counter

import numpy as np

from kernels.advantage import gae
from ppo_np.distributed.ranks import ALONE, Ranks
from ppo_np.environments.stream import Episode, Transition
from ppo_np.learning.minibatches import MinibatchSlice
from ppo_np.learning.normalizer import RunningMoments, merge_moments
from ppo_np.learning.policy import Policy
from ppo_np.network.minibatch import Minibatch


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
        loss_inputs: (T, N) each: logprobs, the first T rows of values, advantages, returns.
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
        self.loss_inputs = self.logprobs, self.values[:-1], self.advantages, self.returns
        self._flat_loss_inputs = [array.reshape(-1) for array in self.loss_inputs]
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
        episodes: finished episodes.
        ends, infos: for each of them, the time step in which it ended, and the numbers under the info keys.
        time, time_env, time_inference: seconds in total, in the environments, and choosing actions.
        rewards: their sum, as the environments gave them.
    """

    filled: int = 0
    steps: int = 0
    episodes: list[Episode] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    infos: list[dict[str, float]] = field(default_factory=list)
    time: float = 0.0
    time_env: float = 0.0
    time_inference: float = 0.0
    rewards: float = 0.0

    def count(self, transition: Transition) -> None:
        """Count a time step of the buffer that was filled, and the episodes that ended in it."""
        self.ends += [self.filled] * len(transition.episodes)
        self.episodes += transition.episodes
        self.infos += transition.infos or [{} for _ in transition.episodes]
        self.filled += 1

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
        ended = list(zip(self.ends, self.episodes, self.infos, strict=True))
        steps, rewards, of_each = zip(*ranks.allgather((self.steps, self.rewards, ended)), strict=True)
        in_order = sorted(chain(*of_each), key=itemgetter(0))
        ends, episodes, infos = map(list, zip(*in_order, strict=True)) if in_order else ([], [], [])
        return replace(self, steps=sum(steps), rewards=sum(rewards), ends=ends, episodes=episodes, infos=infos)
