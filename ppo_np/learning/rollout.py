"""The rollout: T steps of N environments under the current policy, and the advantages computed from them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import chain
from operator import itemgetter
from time import perf_counter
from typing import Any

import numpy as np

from kernels.acting import FINE
from kernels.advantage import gae
from kernels.finite import all_finite
from ppo_np.distributed.ranks import ALONE, OwnRows, Ranks, pool
from ppo_np.environments.stream import LARGEST, EnvStream, Episode, Transition
from ppo_np.learning.policy import Policy
from ppo_np.network.batch import Batch, Minibatch
from ppo_np.network.tensor_trace import NotFiniteError, acting_stages, sampling_stages


class RolloutBuffer:
    """Preallocated arrays for the T x N transitions of one rollout.

    Attributes:
        obs: (T, N, D), as the environments gave them until `normalize_obs`; uint8 or float32.
        actions: (T, N, ...), as drawn. logprobs, rewards, advantages, returns: (T, N).
        terminations, truncations: (T, N) bool.
        valid: (T, N) bool, False in reset rows, which nothing is learned from.
        values: (T+1, N), the last row for the observation that follows the rollout.
        final_values: (T, N), V(final observation) where an episode was truncated.
    """

    def __init__(self, num_steps: int, num_envs: int, policy: Policy):
        shape, dtype = (num_steps, num_envs), policy.model.dtype
        self.obs = np.zeros((*shape, policy.observations.size), policy.obs_dtype)
        self.actions = policy.model.actions(*shape)
        self.logprobs, self.rewards, self.final_values, self.advantages, self.returns = np.zeros((5, *shape), dtype)
        self.terminations, self.truncations, self.valid = np.zeros((3, *shape), bool)
        self.values = np.zeros((num_steps + 1, num_envs), dtype)
        # All transitions in one row, as minibatches are gathered from them: views, made once.
        self._flat_obs, self._flat_actions = (a.reshape(-1, *a.shape[2:]) for a in (self.obs, self.actions))
        of_loss = self.logprobs, self.values[:-1], self.advantages, self.returns
        self._flat_loss_inputs = [array.reshape(-1) for array in of_loss]

    def normalize_obs(self, policy: Policy, ranks: Ranks = ALONE) -> None:
        """Replace `obs` by what the network saw, and count them for the next rollout.

        Within a rollout the statistics stand still, so that the learning network sees what the acting one saw.
        """
        rows, moments = self.obs.reshape(-1, self.obs.shape[-1]), policy.obs_moments
        used = moments.copy()
        moments.update(rows, self.valid.reshape(-1), ranks)
        used.standardize(rows, rows)

    def compute_advantages(self, gamma: float, gae_lambda: float) -> None:
        """Fill `advantages` and `returns` from the rest; in reset rows they mean nothing."""
        gae(
            self.rewards, self.values, self.final_values, self.terminations, self.truncations,
            gamma, gae_lambda, self.advantages, self.returns,
        )  # fmt: skip

    def gather(self, rows: np.ndarray, policy: Policy, batch: Minibatch) -> None:
        """Copy the transitions with the flat indices `rows`, (B,), into a minibatch."""
        if self._flat_obs.dtype == batch.obs.dtype:
            self._flat_obs.take(rows, 0, batch.obs, "clip")
        else:
            policy.encode(self._flat_obs[rows], batch.obs)
        self._flat_actions.take(rows, 0, batch.actions, "clip")
        for source, target in zip(self._flat_loss_inputs, batch.loss_inputs, strict=True):
            source.take(rows, 0, target, "clip")

    def explained_variance(self, ranks: Ranks = ALONE) -> float:
        """1 - Var(returns - values) / Var(returns) over all ranks' valid rows; NaN where the returns do not vary."""
        returns = self.returns[self.valid].astype(np.float64)
        rows = np.stack([returns, returns - self.values[:-1][self.valid]])
        moments = (rows.mean(axis=1), rows.var(axis=1)) if returns.size else np.zeros((2, 2))
        groups = ranks.gather_numbers(np.array([np.full(2, returns.size), *moments]))
        if not groups[:, 0].any():
            return float("nan")
        variance, rest = groups[0, 2] if ranks.size == 1 else pool(*groups.transpose(1, 0, 2))[2]
        return float(1 - rest / variance) if variance > 0 else float("nan")


@dataclass
class RolloutReport:
    """What a rollout leaves beside the buffer: rows filled, steps done, episodes that ended, seconds spent.

    Attributes:
        ends: for each episode, the row in which it ended.
    """

    rows: int = 0
    steps: int = 0
    episodes: list[Episode] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    time: float = 0.0
    time_env: float = 0.0
    time_inference: float = 0.0

    def of_all(self, ranks: Ranks) -> "RolloutReport":
        """With the steps and the episodes of all ranks, as if one had done them; the seconds are this rank's."""
        if ranks.size == 1:
            return self
        steps, ends, episodes = zip(*ranks.gather((self.steps, self.ends, self.episodes)), strict=True)
        in_order = sorted(zip(chain(*ends), chain(*episodes), strict=True), key=itemgetter(0))
        ends, episodes = map(list, zip(*in_order, strict=True)) if in_order else ([], [])
        return replace(self, steps=sum(steps), ends=ends, episodes=episodes)


def collect(
    stream: EnvStream,
    policy: Policy,
    batch: Batch,
    buffer: RolloutBuffer,
    rng: np.random.Generator | OwnRows,
    stopped: Callable[[], bool],
    report: RolloutReport | None = None,
) -> RolloutReport:
    """Fill the buffer with T steps of N environments; stop between two steps once `stopped()` holds.

    Args:
        stream: the environments.
        policy: acts, by drawing from its distribution.
        batch: arrays for N rows.
        buffer: overwritten, but for advantages and returns.
        rng: draws the actions.
        stopped: asked before each step.
        report: of a rollout that was stopped, which goes on behind its rows; None begins a new one.

    Returns:
        The report; the buffer is full if its rows are T.

    Raises:
        EnvironmentFault: An environment failed, or gave numbers that are not finite.
        NotFiniteError: The network's outputs are not finite; the environments were not stepped with them.
    """
    report = report or RolloutReport()
    pi = batch.distribution
    begun = perf_counter() - report.time
    for t in range(report.rows, len(buffer.rewards)):
        if stopped():
            return _ended(report, buffer, begun)
        start = perf_counter()
        _look(stream, policy, buffer.obs[t], batch)
        pi.sample(batch.pi_out, rng)
        if not all_finite(pi.logprobs):
            _fill_layers(policy, buffer.obs[t], batch)
            raise NotFiniteError(sampling_stages(policy.model, batch))
        buffer.values[t], buffer.actions[t], buffer.logprobs[t] = batch.values, pi.actions, pi.logprobs
        acted = perf_counter()
        step = stream.step(policy.actions.to_env(pi.actions))
        stepped = perf_counter()
        buffer.rewards[t], buffer.terminations[t], buffer.truncations[t], buffer.valid[t] = step[:4]
        if step.final_obs is not None:
            _bootstrap(stream, step, policy, batch, buffer.final_values[t])
        report.rows += 1
        if step.episodes:
            report.episodes += step.episodes
            report.ends += [t] * len(step.episodes)
        report.time_env += stepped - acted
        report.time_inference += acted - start + perf_counter() - stepped
    _look(stream, policy, np.zeros_like(buffer.obs[0]), batch)
    buffer.values[-1] = batch.values
    if stream.next_step:
        # The row after an episode's last one holds its final observation.
        buffer.final_values[:] = buffer.values[1:]
    return _ended(report, buffer, begun)


def _ended(report: RolloutReport, buffer: RolloutBuffer, begun: float) -> RolloutReport:
    report.steps = int(np.count_nonzero(buffer.valid[: report.rows]))
    report.time = perf_counter() - begun
    return report


def _look(stream: EnvStream, policy: Policy, rows: np.ndarray, batch: Batch) -> None:
    """Write the current observations, flat, into `rows`, and run the network on them."""
    flatten_obs(stream, policy, rows)
    _forward(stream, policy, rows, batch)


def _forward(stream: EnvStream, policy: Policy, rows: np.ndarray, batch: Batch) -> None:
    """Run the network on flat observations, (N, D).

    Raises:
        EnvironmentFault: They are not finite numbers of a sensible size.
        NotFiniteError: What comes out is not finite.
    """
    obs = rows
    if policy.encodes:
        stream.check_obs(rows)
        obs = batch.obs
        policy.encode(rows, obs)
    found = policy.model.act(obs, LARGEST, batch)
    if found == FINE:
        return
    stream.check_obs(rows)
    _fill_layers(policy, rows, batch)
    raise NotFiniteError(acting_stages(policy.model, batch))


def _fill_layers(policy: Policy, rows: np.ndarray, batch: Batch) -> None:
    """Compute the layers' outputs again, which acting does not keep; the network's own outputs stay."""
    outputs = batch.pi_out.copy(), batch.values.copy()
    policy.encode(rows, batch.obs)
    policy.model.forward(batch)
    batch.pi_out[:], batch.values[:] = outputs


def flatten_obs(stream: EnvStream, policy: Policy, rows: np.ndarray) -> None:
    """Write the current observations, flat, into `rows`, (N, D).

    Raises:
        EnvironmentFault: They do not fit their space.
    """
    if stream.checked and policy.observations.copies:
        rows[:] = stream.obs.reshape(rows.shape)
    else:
        _flatten(stream, policy.observations.flatten, stream.obs, rows)


def _bootstrap(stream: EnvStream, step: Transition, policy: Policy, batch: Batch, final_values: np.ndarray) -> None:
    """Write V(final observation) of the episodes that this step truncated into `final_values`, (N,)."""
    truncated = np.flatnonzero(step.truncations & ~step.terminations)
    if not len(truncated):
        return
    rows = np.zeros(batch.obs.shape, policy.obs_dtype)
    if isinstance(step.final_obs, dict | tuple):  # batched like any observations, with anything where no episode ended
        _flatten(stream, policy.observations.flatten, step.final_obs, rows)
        rows[~step.truncations] = 0
    else:
        for n in truncated:
            _flatten(stream, policy.observations.flatten_one, step.final_obs[n], rows[n])
    _forward(stream, policy, rows, batch)
    final_values[truncated] = batch.values[truncated]


def _flatten(stream: EnvStream, flatten: Callable, observations: Any, rows: np.ndarray) -> None:
    try:
        flatten(observations, rows)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise stream.fault(f"the environments gave observations that do not fit their space ({reason})") from error
