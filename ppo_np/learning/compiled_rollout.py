"""The rollout over compiled environments: a kernel does many steps in one call, and returns to Python for resets."""

from concurrent.futures import Executor
from time import perf_counter
from typing import Any, Self

import numpy as np
from gymnasium.spaces import Box, Space

from ppo_np.distributed.ranks import OwnRows
from ppo_np.environments.compiled_stream import CompiledStream
from ppo_np.environments.rollout_kernel import BAD_LOGPROBS, BAD_NETWORK, ENDED, SAMPLERS
from ppo_np.environments.stream import LARGEST, EnvStream
from ppo_np.learning.acting import VALUE_ROWS, RolloutValues, evaluate_final, raise_of_network, raise_of_sampling
from ppo_np.learning.normalizer import CLIP
from ppo_np.learning.policy import ActingWorkspace, Policy
from ppo_np.learning.rollout_buffer import RolloutBuffer, RolloutReport
from ppo_np.network.continuous import Beta, StateGaussian
from ppo_np.network.distributions import Categorical, Distribution, Gaussian, Rng

SECONDS = 0.02  # that `advance` may take: `stop` waits for its end
PARTS = 8  # of a rollout: the values of one are computed on another thread during the next one
ANY_RNG = np.random.default_rng(0)  # for numbers that nobody uses


class CompiledSteps:
    """Fills many rows of the buffer at a time, with the numbers that single steps give, bit for bit.

    Args:
        stream, policy, workspace, buffer, other_thread: as for `collect`.

    Attributes:
        values: computes the values of the steps that are done, if the network is `separate`.
    """

    def __init__(
        self, stream: CompiledStream, policy: Policy, workspace: ActingWorkspace, buffer: RolloutBuffer,
        other_thread: Executor | None = None,
    ):  # fmt: skip
        self._stream, self._policy, self._workspace, self._buffer = stream, policy, workspace, buffer
        self._steps = 1  # that `advance` does
        other_thread = other_thread if policy.model.separate else None
        num_steps, num_envs = buffer.rewards.shape
        self._most = max(num_steps // PARTS, -(-VALUE_ROWS // num_envs)) if other_thread else num_steps
        self.values = RolloutValues(policy, buffer, other_thread)
        self._distribution = workspace.activations.distribution
        self._given = _given(self._distribution, policy.actions.space)
        self._arrays = self._kernel_arrays()
        self._kernel = stream.envs.rollout_kernel(type(self._distribution).__name__)
        arguments = self._arguments(0, 0, 0, _draws(self._distribution, ANY_RNG, 1))
        self._kernel(*arguments, *stream.kernel_arguments())  # no step; it is compiled now, outside of `env_timeout`

    @classmethod
    def of(
        cls, stream: EnvStream, policy: Policy, workspace: ActingWorkspace, buffer: RolloutBuffer,
        other_thread: Executor | None = None,
    ) -> Self | None:  # fmt: skip
        """None if no kernel can do it: for other environments, and for some distributions and observations."""
        known = type(workspace.activations.distribution).__name__ in SAMPLERS
        plain = policy.observations.copies and policy.obs_dtype == policy.model.dtype
        if not isinstance(stream, CompiledStream) or not known or not plain or policy.model.head.masked:
            return None
        return cls(stream, policy, workspace, buffer, other_thread)

    def _kernel_arrays(self) -> tuple[tuple[Any, ...], ...]:
        """The arguments network, moments, workspace and buffer of the kernel."""
        model, moments, buffer = self._policy.model, self._policy.obs_moments, self._buffer
        activations, distribution = self._workspace.activations, self._distribution
        layers = model.policy_layers if model.separate else model.layers
        no_statistics = np.zeros(0), np.zeros(0)
        return (
            (model.params, layers, model.activation, model.scratch(activations)),
            (moments is not None, *((moments.mean, moments.variance) if moments else no_statistics), CLIP),
            (
                self._workspace.inputs, activations.policy_outputs, activations.values,
                distribution.actions, distribution.actions.reshape(-1), distribution.logprobs,
            ),
            (
                buffer.obs, *(array.reshape(len(array), -1) for array in (buffer.obs, buffer.actions)),
                buffer.logprobs, buffer.values, buffer.rewards, buffer.terminations, buffer.truncations, buffer.valid,
            ),
        )  # fmt: skip

    def _arguments(self, t: int, end: int, drawn: int, draws: tuple[np.ndarray, ...]) -> tuple[Any, ...]:
        network, moments, workspace, buffer = self._arrays
        return t, end, drawn, LARGEST, network, moments, (draws, self._given), workspace, buffer

    def advance(self, report: RolloutReport, rng: Rng) -> None:
        """Fill the next rows of the buffer: as many as take about `SECONDS`, or the rest.

        Meanwhile the other thread computes the values of the rows before.

        Raises EnvironmentFault and NotFiniteError as `collect`.
        """
        first, start = report.filled, perf_counter()
        end = min(first + min(self._steps, self._most), len(self._buffer.rewards))
        draws = _draws(self._distribution, rng, end - first)
        self.values.begin(first)
        try:
            while report.filled < end:
                self._run(self._arguments(report.filled, end, first, draws), report)
        finally:
            self.values.wait()
        self._steps = max(1, int((end - first) * SECONDS / (perf_counter() - start)))

    def _run(self, arguments: tuple[Any, ...], report: RolloutReport) -> None:
        """Call the kernel, and do what it returned for."""
        stream, policy, workspace, buffer = self._stream, self._policy, self._workspace, self._buffer
        before = stream.steps
        code = stream.run(self._kernel, *arguments)
        report.filled += stream.steps - before - (code == ENDED)
        t = report.filled
        if code == BAD_NETWORK:
            raise_of_network(stream, policy, buffer.obs[t], workspace)
        if code == BAD_LOGPROBS:
            raise_of_sampling(policy, buffer.obs[t], workspace)
        if code == ENDED:
            start = perf_counter()
            transition = stream.end_episodes()
            report.time_env += perf_counter() - start
            assert transition.final
            evaluate_final(stream, transition, transition.final, policy, workspace, buffer.final_values[t])
            report.count(transition)


def _draws(distribution: Distribution, rng: Rng, steps: int) -> tuple[np.ndarray, ...]:
    """The random numbers that so many calls of `distribution.sample` use, (steps, N, ...) each."""
    ahead = rng.ahead() if isinstance(rng, OwnRows) else rng
    shape = (steps, *distribution.actions.shape)
    if isinstance(distribution, Beta):
        normals_and_uniforms = [distribution.draw(rng) for _ in range(steps)]
        return tuple(map(np.stack, zip(*normals_and_uniforms, strict=True)))
    return (ahead.random(shape) if isinstance(distribution, Categorical) else ahead.standard_normal(shape),)


def _given(distribution: Distribution, space: Space) -> tuple[Any, ...]:
    """What the functions in `SAMPLERS` need beside random numbers."""
    if isinstance(distribution, Categorical):
        return distribution.log_probs, int(getattr(space, "start", 0))
    assert isinstance(space, Box)
    bounds = [side.reshape(-1) for side in (space.low, space.high)]
    if isinstance(distribution, Gaussian):
        return distribution.log_std, *bounds
    if isinstance(distribution, StateGaussian):
        return distribution.means, distribution.log_std, *bounds
    assert isinstance(distribution, Beta)
    return distribution.log_width, distribution.low, distribution.high, *bounds
