"""The stream of compiled environments: a kernel can do many steps of it in one call."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from ppo_np.environments.compiled_envs import FINAL, CompiledVectorEnv
from ppo_np.environments.observed import Observed
from ppo_np.environments.rollout_kernel import BAD_REWARD
from ppo_np.environments.stream import EnvStream
from ppo_np.environments.transition import Transition


class CompiledStream(EnvStream):
    """An `EnvStream` that a kernel can step as well; the results are those of `step`."""

    envs: CompiledVectorEnv

    def __init__(self, envs: CompiledVectorEnv, timeout: float = np.inf, first: int = 0, action_mask: str = ""):
        super().__init__(envs, timeout, first, action_mask)
        self._begun = np.zeros(1, np.int64)  # steps that the kernel has begun

    def run(self, kernel: Callable[..., int], *args: Any) -> int:
        """Let a kernel do steps, until an episode ends or something is wrong.

        Args:
            kernel, args: a `rollout_kernel`, and its arguments but those that `kernel_arguments` gives.

        Returns the kernel's code. After ENDED, `end_episodes` must follow. Raises EnvironmentFault as `step`.
        """
        self._check_usable()
        code = self._call(self._run, kernel, args)
        if code == BAD_REWARD:
            raise self._reward_fault(self.envs.results()[0])
        return code

    def _run(self, kernel: Callable[..., int], args: Sequence[Any]) -> int:
        self._begun[0] = 0
        try:
            return self.envs.run(kernel, *args, *self.kernel_arguments())
        finally:
            self.steps += int(self._begun[0])
            self.observed = Observed(self.envs.observations())

    def kernel_arguments(self) -> tuple[tuple[Any, ...], ...]:
        """The last arguments of a `rollout_kernel`: the environments, and their present episodes."""
        episodes = self._returns, self._lengths, self._all_valid, self._dones, self._begun
        return *self.envs.kernel_arguments(), episodes

    def end_episodes(self) -> Transition:
        """Count the episodes that ended in the last step, and draw the beginnings of the next ones.

        Returns the results of that step. Raises EnvironmentFault if a reset fails.
        """
        final = Observed(self._call(self.envs.ended)[FINAL])
        return Transition(*self.envs.results(), self._all_valid, final, self._ended_episodes())


def stream_of(
    envs: VectorEnv, timeout: float, first: int, action_mask: str, info_keys: Sequence[str] = ()
) -> EnvStream:
    """The stream of a vector environment; see `EnvStream` for the arguments and what is raised."""
    if isinstance(envs, CompiledVectorEnv):
        return CompiledStream(envs, timeout, first, action_mask)
    return EnvStream(envs, timeout, first, action_mask, info_keys)
