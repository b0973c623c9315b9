"""Compiled environments as Gymnasium's objects: N of them as a `VectorEnv`, or a single `Env`."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from ppo_np.environments.compiled import CompiledEnv, arrays_for, is_compiled, program, step_limit
from ppo_np.environments.env_restore import generator_words, set_generator_words
from ppo_np.environments.rollout_kernel import rollout_kernel
from ppo_np.errors import UserError

FINAL = "final_obs"
EXAMPLES = {  # Gymnasium's environments that are compiled ones as well
    "Acrobot-v1": "acrobot:Acrobot",
    "CartPole-v1": "cartpole:CartPole",
    "MountainCar-v0": "mountain_car:MountainCar",
    "MountainCarContinuous-v0": "mountain_car_continuous:MountainCarContinuous",
    "Pendulum-v1": "pendulum:Pendulum",
}


class CompiledVectorEnv(VectorEnv):
    """N environments of one model, which one kernel steps, in Gymnasium's mode SAME_STEP.

    Each environment has a random generator. It draws the beginning of the next episode before the present one has
    ended, so that the kernel can begin it.

    Args:
        model: a subclass of CompiledEnv.
        num_envs: N.
        max_episode_steps: replaces the model's limit; None keeps it.
        render_mode: must be None; a single environment can be filmed.
        kwargs: of the model.

    Raises UserError as `program`.
    """

    def __init__(
        self, model: type[CompiledEnv], num_envs: int = 1, max_episode_steps: int | None = None,
        render_mode: None = None, **kwargs: Any,
    ):  # fmt: skip
        self._program = program(model, kwargs)
        made = self._program.model
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = made.observation_space, made.action_space
        self.observation_space = batch_space(made.observation_space, num_envs)
        self.action_space = batch_space(made.action_space, num_envs)
        self._limit = step_limit(max_episode_steps or made.max_episode_steps)
        self._states, self._starts = np.zeros((2, num_envs, self._program.state_size))
        self._arrays = arrays_for(num_envs, made)
        self._lengths, self._obs, self._final_obs, self._rewards, self._terminations, self._truncations = self._arrays
        self._actions = np.zeros((num_envs, *(made.action_space.shape or ())), made.action_space.dtype)
        self._rngs: list[np.random.Generator] = []
        self._words: np.ndarray | None = None  # (N, 6), of the generators, as far as `_drawn` is False
        self._drawn = np.ones(num_envs, bool)  # generators that have drawn since then

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode in each environment; environment i has the seed + i. Without a seed, generators go on."""
        if seed is not None or not self._rngs:
            each = [None] * self.num_envs if seed is None else seed
            seeds = each if isinstance(each, Sequence) else range(each, each + self.num_envs)
            self._rngs = [np.random.default_rng(one) for one in seeds]
        self._begin(np.ones(self.num_envs, bool))
        return self._observe(), {}

    def _begin(self, where: np.ndarray) -> None:
        """Begin an episode in the environments where `where`, (N,) bool, is true."""
        for n in np.flatnonzero(where).tolist():
            self._states[n] = self._program.start(self._rngs[n])
            self._draw(n)
        self._lengths[where] = 0

    def _draw(self, n: int) -> None:
        """Draw the beginning of the next episode of environment n."""
        self._starts[n] = self._program.start(self._rngs[n])
        self._drawn[n] = True

    def _observe(self) -> np.ndarray:
        self._program.call(self._program.observe_envs, self._states, self._obs)
        return self.observations()

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Do one action in each environment, (N, ...); raises EnvironmentFault if the user's functions fail."""
        actions = np.ascontiguousarray(actions, self._actions.dtype).reshape(self._actions.shape)
        kernel, args = self.kernel_call()
        ended = self._program.call(kernel, actions, *args)
        infos = self.ended() if ended else {}
        return self.observations(), *self.results(), infos

    def observations(self) -> np.ndarray:
        """The present observations, (N, ...)."""
        return self._obs.copy()

    def results(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rewards, terminations and truncations of the last step, (N,) each."""
        return self._rewards.copy(), self._terminations.copy(), self._truncations.copy()

    def ended(self) -> dict[str, Any]:
        """Draw the beginnings of the next episodes, where episodes have ended; returns the infos of the step."""
        dones = self._terminations | self._truncations
        infos: dict[str, Any] = {FINAL: np.full(self.num_envs, None, object), f"_{FINAL}": dones}
        for n in np.flatnonzero(dones).tolist():
            infos[FINAL][n] = self._final_obs[n].copy()
            self._draw(n)
        return infos

    def kernel_call(self) -> tuple[Callable[..., int], tuple[Any, ...]]:
        """`step_envs` and its arguments after the actions: arrays that stay the same and are modified by each step."""
        return self._program.step_envs, (self._starts, self._limit, True, self._states, *self._arrays)

    def rollout_kernel(self, kind: str) -> Callable[..., int]:
        """The kernel that steps the environments under a policy; `kind` is a key of `SAMPLERS`."""
        return rollout_kernel(self._program.step_envs, kind, self._program.key)

    def kernel_arguments(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The arguments `spaces` and `envs` of the rollout kernel."""
        actions = self._actions
        rows = actions.reshape(self.num_envs, -1) if actions.ndim > 1 else actions
        return (self._obs.reshape(-1), rows, actions), self.kernel_call()[1]

    def run(self, kernel: Callable[..., int], *args: Any) -> int:
        """Run the rollout kernel; raises EnvironmentFault if the user's functions fail."""
        return self._program.call(kernel, *args)

    def snapshot(self) -> tuple[np.ndarray, np.ndarray]:
        """The state of all environments: (N, 2 S) uint64, the bits of states and beginnings; (N, 6) of generators."""
        if self._words is None:
            self._words = np.zeros((self.num_envs, 6), np.uint64)
        for n in np.flatnonzero(self._drawn):
            self._words[n] = generator_words(self._rngs[n])
        self._drawn[:] = False
        return np.concatenate([self._states, self._starts], axis=1).view(np.uint64), self._words.copy()

    def restore(self, states: np.ndarray, words: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Set what `snapshot` gave, and the lengths of the present episodes, (N,); returns the observations.

        New episodes begin if the states have another size than those of this model.
        """
        self._rngs = [np.random.default_rng(0) for _ in range(self.num_envs)]
        for rng, own in zip(self._rngs, words, strict=True):
            set_generator_words(rng, own)
        self._drawn[:] = True
        if states.shape != (self.num_envs, 2 * self._program.state_size):
            return self.restart(np.ones(self.num_envs, bool))
        self._states[:], self._starts[:] = np.split(np.ascontiguousarray(states).view(np.float64), 2, axis=1)
        self._lengths[:] = lengths
        return self._observe()

    def restart(self, where: np.ndarray) -> np.ndarray:
        """Begin new episodes where `where`, (N,) bool, is true; returns the observations of all environments."""
        self._begin(where)
        return self._observe()


def registered_model(env_id: str) -> type[CompiledEnv]:
    """The model of an id; "module:id" imports the module first. Raises UserError if the id has none."""
    module, _, name = env_id.rpartition(":")
    if module:
        importlib.import_module(module)
    if name in EXAMPLES:
        module, _, attribute = EXAMPLES[name].partition(":")
        return getattr(importlib.import_module(f"ppo_np.environments.examples.{module}"), attribute)
    model = gymnasium.spec(name).kwargs.get("model")
    if not is_compiled(model):
        allowed = f"the id of a CompiledEnv with vectorization 'compiled'; those of Gymnasium are {', '.join(EXAMPLES)}"
        raise UserError(f"env_id is {env_id!r}, but it must be {allowed}.")
    return model


class CompiledSingleEnv(gymnasium.Env):
    """One environment of a model, for evaluation, films and Gymnasium's tools. It has no limit of steps.

    Args:
        model: a subclass of CompiledEnv. kwargs: of the model.
        render_mode: "rgb_array", if the model has a function `render`; or None.

    Raises UserError as `program`.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": CompiledEnv.render_fps}  # noqa: RUF012

    def __init__(self, model: type[CompiledEnv], render_mode: str | None = None, **kwargs: Any):
        self._program = program(model, kwargs)
        made = self._program.model
        self._render = getattr(model, "render", None)
        self.metadata = {"render_modes": ["rgb_array"] if self._render else [], "render_fps": made.render_fps}
        self.render_mode = render_mode
        self.observation_space, self.action_space = made.observation_space, made.action_space
        self._states = np.zeros((1, self._program.state_size))
        self._arrays = arrays_for(1, made)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Begin an episode."""
        super().reset(seed=seed)
        self._states[0] = self._program.start(self.np_random)
        obs = self._arrays[1]
        self._program.call(self._program.observe_envs, self._states, obs)
        return obs[0].copy(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Do one action; an episode is never truncated."""
        actions = np.ascontiguousarray(action, self.action_space.dtype).reshape(1, *(self.action_space.shape or ()))
        fixed = actions, self._states, step_limit(None), False
        self._program.call(self._program.step_envs, *fixed, self._states, *self._arrays)
        _, obs, _, rewards, terminations, _ = self._arrays
        return obs[0].copy(), float(rewards[0]), bool(terminations[0]), False, {}

    def render(self) -> Any:
        """The model's picture of the present state; None without a render mode."""
        return self._render(self._states[0].copy()) if self._render and self.render_mode else None
