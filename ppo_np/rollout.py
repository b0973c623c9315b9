"""The rollout: T steps of N environments under the current policy, and the advantages computed from them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from kernels.advantage import gae
from ppo_np.envs import EnvStream, Episode
from ppo_np.model import Batch
from ppo_np.policy import Policy


class RolloutBuffer:
    """Preallocated arrays for the T x N transitions of one rollout.

    Attributes:
        obs: (T, N, D). actions: (T, N) int64. logprobs, rewards, advantages, returns: (T, N).
        terminations, truncations: (T, N) bool.
        values: (T+1, N), the last row for the observation that follows the rollout.
        final_values: (T, N), V(final observation) where an episode was truncated.
    """

    def __init__(self, num_steps: int, num_envs: int, obs_size: int, dtype=np.float32):
        shape = (num_steps, num_envs)
        self.obs = np.zeros((*shape, obs_size), dtype)
        self.actions = np.zeros(shape, np.int64)
        self.logprobs, self.rewards, self.final_values, self.advantages, self.returns = np.zeros((5, *shape), dtype)
        self.terminations, self.truncations = np.zeros((2, *shape), bool)
        self.values = np.zeros((num_steps + 1, num_envs), dtype)

    def compute_advantages(self, gamma: float, gae_lambda: float) -> None:
        """Fill `advantages` and `returns` from the rest."""
        gae(
            self.rewards, self.values, self.final_values, self.terminations, self.truncations,
            gamma, gae_lambda, self.advantages, self.returns,
        )  # fmt: skip

    def gather(self, rows: np.ndarray, batch: Batch) -> None:
        """Copy the transitions with the flat indices `rows`, (B,), into a minibatch."""
        for source, target in (
            (self.obs.reshape(-1, self.obs.shape[-1]), batch.obs),
            (self.actions.reshape(-1), batch.actions),
            (self.logprobs.reshape(-1), batch.old_logprobs),
            (self.values[:-1].reshape(-1), batch.old_values),
            (self.advantages.reshape(-1), batch.advantages),
            (self.returns.reshape(-1), batch.returns),
        ):
            np.take(source, rows, axis=0, out=target, mode="clip")

    def explained_variance(self) -> float:
        """1 - Var(returns - values) / Var(returns); NaN where the returns do not vary."""
        variance = np.var(self.returns, dtype=np.float64)
        residual = np.var(self.returns - self.values[:-1], dtype=np.float64)
        return float(1 - residual / variance) if variance > 0 else float("nan")


@dataclass
class RolloutReport:
    """What a rollout leaves beside the buffer: steps done, episodes that ended, seconds spent."""

    steps: int = 0
    episodes: list[Episode] = field(default_factory=list)
    time_env: float = 0.0
    time_inference: float = 0.0


def collect(
    stream: EnvStream,
    policy: Policy,
    batch: Batch,
    buffer: RolloutBuffer,
    rng: np.random.Generator,
    stopped: Callable[[], bool],
) -> RolloutReport:
    """Fill the buffer with T steps of N environments; stop between two steps once `stopped()` holds.

    Args:
        stream: the environments.
        policy: acts, by drawing from its distribution.
        batch: arrays for N rows.
        buffer: overwritten, but for advantages and returns.
        rng: draws the actions.
        stopped: asked before each step.
    """
    report = RolloutReport()
    pi = batch.distribution
    for t in range(len(buffer.rewards)):
        if stopped():
            return report
        start = perf_counter()
        policy.observations.flatten(stream.obs, batch.obs)
        policy.model.forward(batch)
        pi.sample(batch.logits, rng)
        buffer.obs[t], buffer.values[t] = batch.obs, batch.values
        buffer.actions[t], buffer.logprobs[t] = pi.actions, pi.logprobs
        acted = perf_counter()
        step = stream.step(policy.actions.to_env(pi.actions))
        stepped = perf_counter()
        buffer.rewards[t], buffer.terminations[t], buffer.truncations[t] = step[:3]
        if step.final_obs is not None:
            _bootstrap(t, step, policy, batch, buffer)
        report.episodes += step.episodes
        report.steps += len(step.rewards)
        report.time_env += stepped - acted
        report.time_inference += acted - start + perf_counter() - stepped
    policy.observations.flatten(stream.obs, batch.obs)
    policy.model.forward(batch)
    buffer.values[-1] = batch.values
    return report


def _bootstrap(t: int, step, policy: Policy, batch: Batch, buffer: RolloutBuffer) -> None:
    """Write V(final observation) of the episodes that step t truncated into `buffer.final_values`."""
    rows = np.flatnonzero(step.truncations & ~step.terminations)
    for n in rows:
        policy.observations.flatten(np.asarray(step.final_obs[n])[np.newaxis], batch.obs[n : n + 1])
    if len(rows):
        policy.model.forward(batch)
        buffer.final_values[t, rows] = batch.values[rows]
