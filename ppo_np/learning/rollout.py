"""The rollout: T steps of N environments under the current policy."""

from collections.abc import Callable
from concurrent.futures import Executor
from time import perf_counter

import numpy as np

from ppo_np.environments.stream import EnvStream
from ppo_np.learning.acting import RolloutValues, evaluate_final, flatten_obs, observe_and_act, run_network
from ppo_np.learning.compiled_rollout import CompiledSteps
from ppo_np.learning.policy import ActingWorkspace, Policy
from ppo_np.learning.rollout_buffer import RolloutBuffer, RolloutReport
from ppo_np.network.distributions import Rng


def collect(
    stream: EnvStream,
    policy: Policy,
    workspace: ActingWorkspace,
    buffer: RolloutBuffer,
    rng: Rng,
    stopped: Callable[[], bool],
    report: RolloutReport | None = None,
    other_thread: Executor | None = None,
) -> RolloutReport:
    """Fill the buffer with T steps of N environments; stop between two steps when `stopped()` is true.

    With compiled environments, a kernel does many steps in one call, with the same results.

    Args:
        stream: the environments. policy: acts. workspace: for N actions.
        buffer: overwritten, except advantages and returns.
        rng: draws the actions.
        stopped: called before each step, or before each group of steps that takes about 0.02 s.
        report: of a stopped rollout, which is then continued; None begins a new one.
        other_thread: computes values of a network that is `separate` while that kernel does steps; None computes them
            afterwards. The results are the same.

    Raises:
        EnvironmentFault: An environment failed, or gave numbers that are not finite.
        NotFiniteError: An output of the network is not finite; the environments were not stepped with it.
    """
    report = report or RolloutReport()
    start_time = perf_counter() - report.time
    steps = CompiledSteps.of(stream, policy, workspace, buffer, other_thread)
    while report.filled < len(buffer.rewards):
        if stopped():
            return report.finish(buffer, start_time)
        if steps:
            steps.advance(report, rng)
        else:
            _one_step(stream, policy, workspace, buffer, rng, report)
    if policy.model.separate:
        values = steps.values if steps else RolloutValues(policy, buffer)
        values.finish(stream, workspace, report)
    # The value of the observation that follows the rollout.
    flat_obs = np.zeros_like(buffer.obs[0])
    flatten_obs(stream, policy, flat_obs)
    run_network(stream, policy, flat_obs, workspace)
    buffer.values[-1] = workspace.activations.values
    if policy.rounding:
        exact_obs = np.zeros(flat_obs.shape)
        flatten_obs(stream, policy, exact_obs)
        policy.rounding.add(exact_obs)
    if stream.next_step:
        # The row after an episode's last one holds its final observation.
        buffer.final_values[:] = buffer.values[1:]
    return report.finish(buffer, start_time)


def _one_step(
    stream: EnvStream, policy: Policy, workspace: ActingWorkspace, buffer: RolloutBuffer, rng: Rng,
    report: RolloutReport,
) -> None:  # fmt: skip
    """Fill the next row of the buffer: act, step the environments, and count."""
    t = report.filled
    actions = observe_and_act(stream, policy, workspace, buffer, t, rng)
    start = perf_counter()
    transition = stream.step(policy.actions.to_env(actions))
    report.time_env += perf_counter() - start
    buffer.rewards[t], buffer.terminations[t], buffer.truncations[t], buffer.valid[t] = transition[:4]
    if transition.final:
        evaluate_final(stream, transition, transition.final, policy, workspace, buffer.final_values[t])
    report.count(transition)
