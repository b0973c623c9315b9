"""Environments that a user writes as two functions in Numba's style: their base class, their checks, their kernels."""

import inspect
import math
import numbers
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import gymnasium
import numba
import numpy as np
from gymnasium import spaces
from numba.core.errors import NumbaError

from kernels._jit import COMPILED, called_kernel, users_cache_dir
from ppo_np.environments.fingerprint import fingerprint
from ppo_np.environments.guard import describe
from ppo_np.environments.stepping import stepping_kernels
from ppo_np.environments.wrapping import signature
from ppo_np.errors import EnvironmentFault, UserError, check, short


class CompiledEnv:
    """Base class of environments whose `step` and `observe` are compiled; docs/compiled-environments.md has an example.

    A subclass has the attributes and the three methods below, and may have `render(state)`, a static method in Python
    that returns a picture, (H, W, 3) uint8. `env_kwargs` go to its `__init__`; numbers of it that `step` needs can be
    put into the state by `reset`.

    Attributes:
        observation_space: a Box. action_space: Discrete, MultiDiscrete, MultiBinary or a Box.
        max_episode_steps: steps after which an episode is truncated; None = never.
        reward_threshold: mean return at which the environment counts as solved; None if there is none.
        render_fps: pictures per second of a film.
    """

    observation_space: gymnasium.Space
    action_space: gymnasium.Space
    max_episode_steps: int | None = None
    reward_threshold: float | None = None
    render_fps: float = 30.0

    def reset(self, rng: np.random.Generator) -> Any:
        """The state in which an episode begins: (S,) numbers, which are kept as float64. Runs in Python.

        It must depend on `rng` alone, and on what `__init__` has set: it is called before the last episode has ended.
        """
        raise NotImplementedError

    @staticmethod
    def step(state: Any, action: Any) -> Any:
        """Change the state, (S,) float64, in place, and return `(reward, terminated)`. Compiled.

        `action` is an integer for Discrete, else an array of the type and shape of the action space.
        """
        raise NotImplementedError

    @staticmethod
    def observe(state: Any, obs: Any) -> None:
        """Overwrite `obs`, an array of the type and shape of the observation space. Compiled.

        If a subclass has no `observe`, the observation is the state.
        """
        for i in range(len(state)):  # a loop: Numba takes seconds to compile the assignment of an array to another
            obs[i] = state[i]

    @classmethod
    def register(cls, env_id: str) -> None:
        """Give the environment an id, so that Gymnasium and `--env-id module:id` find it."""
        single = "ppo_np.environments.compiled_envs:CompiledSingleEnv"
        vector = "ppo_np.environments.compiled_envs:CompiledVectorEnv"
        gymnasium.register(
            env_id, single, vector_entry_point=vector, kwargs={"model": cls},
            max_episode_steps=cls.max_episode_steps, reward_threshold=cls.reward_threshold,
        )  # fmt: skip


def is_compiled(model: Any) -> TypeGuard[type[CompiledEnv]]:
    """Whether this is a subclass of CompiledEnv."""
    return isinstance(model, type) and issubclass(model, CompiledEnv)


class Program(NamedTuple):
    """A compiled environment that is ready to run.

    Attributes:
        model: the user's object. name: of its class.
        step_envs, observe_envs: the kernels. key: of their cache; empty if they are not cached.
        state_size: S, the numbers in a state.
    """

    model: CompiledEnv
    name: str
    step_envs: Callable[..., int]
    observe_envs: Callable[..., None]
    key: str
    state_size: int

    def start(self, rng: np.random.Generator) -> np.ndarray:
        """A state in which an episode begins, (S,) float64, to be copied; raises EnvironmentFault if `reset` fails."""
        try:
            given = np.asarray(self.model.reset(rng))
        except Exception as error:
            raise EnvironmentFault(f"{self.name}.reset raised {describe(error)}") from error
        if given.ndim != 1 or given.dtype.kind not in "biuf" or len(given) != (self.state_size or len(given) or 1):
            size = self.state_size or "S"
            what = f"a state of shape {given.shape} and type {given.dtype}"
            raise EnvironmentFault(f"{self.name}.reset gave {what}, but it must be numbers of shape ({size},)")
        return given.astype(np.float64, copy=False)

    def call(self, kernel: Callable[..., Any], *args: Any) -> Any:
        """Run a kernel; an exception in the user's functions becomes an EnvironmentFault."""
        try:
            return kernel(*args)
        except Exception as error:
            which = "observe" if kernel is self.observe_envs else "step or observe"
            told = f"{type(error).__name__}: {error} (NUMBA_DISABLE_JIT=1 shows where)" if COMPILED else describe(error)
            raise EnvironmentFault(f"{self.name}.{which} raised {told}") from error


def program(model: Any, kwargs: dict[str, Any]) -> Program:
    """Check an environment, and compile it or find it in the cache.

    Args:
        model: a subclass of CompiledEnv. kwargs: of its `__init__`.

    Raises UserError that names the function if something is wrong with it.
    """
    name = getattr(model, "__name__", short(model))
    check(is_compiled(model), "model", model, "a subclass of ppo_np.CompiledEnv")
    try:
        made = model(**kwargs)
    except Exception as error:
        raise UserError(f"{name} raised {describe(error)} when it was made{signature(model, error)}.") from error
    _check_attributes(made, name)
    first = Program(made, name, _no_kernel, _no_kernel, "", 0)
    try:
        state = first.start(np.random.default_rng(0))
    except EnvironmentFault as fault:
        raise UserError(f"{fault}.") from fault.__cause__
    action = example_action(made.action_space)
    form = len(state), made.observation_space.shape, str(made.observation_space.dtype), action.shape, str(action.dtype)
    step_envs, observe_envs, key = _kernels(model.step, model.observe, form)
    ready = first._replace(step_envs=step_envs, observe_envs=observe_envs, key=key, state_size=len(state))
    tried = Path(users_cache_dir(key) or os.devnull) / "tried"  # these functions have passed the trial before
    if not tried.exists():
        _try_in_python(ready, state.copy(), action)
    if COMPILED:
        _compile(ready, state, action)
    with suppress(OSError):
        tried.touch()
    return ready


@cache
def _kernels(step: Any, observe: Any, form: tuple) -> tuple[Callable[..., int], Callable[..., None], str]:
    """The kernels of two functions for arrays of this form, and the key of their cache."""
    key = fingerprint(step, observe, form, stepping_kernels.__code__)
    step, observe = (f if hasattr(f, "py_func") else called_kernel(f) for f in (step, observe))
    return *stepping_kernels(step, observe, key), key


def _no_kernel(*args: Any) -> Any:
    raise NotImplementedError


def example_action(space: gymnasium.Space) -> np.ndarray:
    """An action of a space, as the policy gives it to environments."""
    if isinstance(space, spaces.Box):
        return np.clip(np.zeros(space.shape, space.dtype), space.low, space.high)
    return np.asarray(getattr(space, "start", np.zeros(space.shape or (), space.dtype)), space.dtype)


def arrays_for(envs: int, made: CompiledEnv) -> tuple[np.ndarray, ...]:
    """What `step_envs` overwrites for N environments, beside their states: lengths, obs, final_obs, rewards, ..."""
    box = made.observation_space
    obs, final_obs = (np.zeros((envs, *(box.shape or ())), box.dtype) for _ in range(2))
    return np.zeros(envs, np.int64), obs, final_obs, np.zeros(envs), *np.zeros((2, envs), bool)


def step_limit(steps: int | None) -> int:
    """The limit for `step_envs`."""
    return np.iinfo(np.int64).max if steps is None else steps


def _check_attributes(made: CompiledEnv, name: str) -> None:
    for attribute in ("observation_space", "action_space"):
        check(hasattr(made, attribute), f"{name}.{attribute}", None, "set")
    obs, actions, limit = made.observation_space, made.action_space, made.max_episode_steps
    check(isinstance(obs, spaces.Box) and bool(obs.shape), f"{name}.observation_space", obs, "a Box with a shape")
    known = isinstance(actions, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary)
    known = known or (isinstance(actions, spaces.Box) and bool(actions.shape))
    check(known, f"{name}.action_space", actions, "Discrete, MultiDiscrete, MultiBinary or a Box with a shape")
    good = limit is None or (isinstance(limit, int) and limit >= 1)
    check(good, f"{name}.max_episode_steps", limit, "an integer >= 1, or None")
    for function, arguments in (("step", "state, action"), ("observe", "state, obs")):
        written = _python(getattr(type(made), function))
        given = inspect.signature(written)
        allowed = f"a static function with the arguments ({arguments})"
        check(len(given.parameters) == 2, f"{name}.{function}", str(given), allowed)
        if "random" in written.__code__.co_names:  # Numba's generator, which no checkpoint holds
            raise UserError(f"{name}.{function} draws random numbers, but only reset may: put them into the state.")


def _python(function: Any) -> Any:
    """The function as it is written, if Numba compiles it."""
    return getattr(function, "py_func", function)


def _try_in_python(ready: Program, state: np.ndarray, action: np.ndarray) -> None:
    """Run `observe` and `step` once, without the compiler, where an index out of bounds raises an exception."""
    name, made = ready.name, ready.model
    step, observe = _python(type(made).step), _python(type(made).observe)
    low, high = np.zeros((2, *(made.observation_space.shape or ())), made.observation_space.dtype)
    high += np.ones_like(high)
    before = state.copy()
    for obs in (low, high):
        returned = _run(f"{name}.observe", observe, state, obs)
    check(returned is None, f"What {name}.observe returns", returned, "None: it writes into obs")
    if not np.array_equal(before, state, equal_nan=True):
        raise UserError(f"{name}.observe changes the state, but only step may do that.")
    if not np.array_equal(low, high, equal_nan=low.dtype.kind == "f"):
        index = str(np.argwhere(low != high)[0].tolist())
        raise UserError(f"{name}.observe does not write obs{index}, but it must write all of it.")
    finite = bool(np.isfinite(low).all())
    check(finite, f"The first observation of {name}.observe", low.tolist(), "of finite numbers")
    returned = _run(f"{name}.step", step, state, action if action.ndim else int(action))
    pair = returned if isinstance(returned, tuple) and len(returned) == 2 else (None, None)
    good = isinstance(pair[0], numbers.Real) and isinstance(pair[1], bool | np.bool_)
    check(good, f"What {name}.step returns", returned, "(reward, terminated), a number and a bool")
    assert pair[0] is not None
    check(math.isfinite(pair[0]), f"The first reward of {name}.step", pair[0], "a finite number")


def _run(who: str, function: Callable[..., Any], *args: Any) -> Any:
    try:
        return function(*args)
    except NumbaError as error:  # a compiled function that this one calls
        raise _not_compiled(who, error) from error
    except Exception as error:
        raise UserError(f"{who} raised {describe(error)}.") from error


def _compile(ready: Program, state: np.ndarray, action: np.ndarray) -> None:
    """Compile the kernels, or load them, and run them for one environment; raises UserError if that fails."""
    actions, states = action[np.newaxis].copy(), state[np.newaxis].copy()
    lengths, obs, *others = arrays_for(1, ready.model)
    try:
        ready.observe_envs(states, obs)
        ready.step_envs(actions, states.copy(), step_limit(None), False, states, lengths, obs, *others)
    except NumbaError as error:
        for name, args in (("observe", (states[0], obs[0])), ("step", (states[0], actions[0]))):
            function = getattr(type(ready.model), name)
            try:
                called_kernel(_python(function)).compile(tuple(map(numba.typeof, args)))
            except NumbaError as own:
                raise _not_compiled(f"{ready.name}.{name}", own) from own
        raise _not_compiled(f"What {ready.name}.step returns", error) from error
    except Exception as error:
        raise UserError(f"{ready.name}.step or {ready.name}.observe raised {describe(error)}.") from error


def _not_compiled(who: str, error: NumbaError) -> UserError:
    lines = [line.strip() for line in str(error).splitlines()]
    told = " ".join(line for line in lines if line and not line.startswith(("Failed in", "During:", "This error")))
    return UserError(f"{who} cannot be compiled by Numba: {short_text(told)}.")


def short_text(text: str, length: int = 400) -> str:
    """A text, cut after so many characters."""
    return (text if len(text) <= length else f"{text[:length]}...").rstrip(".")
