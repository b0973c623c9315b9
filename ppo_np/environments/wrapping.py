"""Puts wrappers around an environment, and limits the time that making one may take."""

import importlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import (
    FrameStackObservation,
    GrayscaleObservation,
    ResizeObservation,
    TransformAction,
    TransformObservation,
)

from ppo_np.config import PPOConfig
from ppo_np.environments.guard import describe
from ppo_np.environments.spaces import is_image
from ppo_np.environments.watchdog import Watchdog
from ppo_np.environments.workers import START_TIMEOUT
from ppo_np.errors import EnvironmentFault, UserError, check, require_extra, short
from ppo_np.literals import wrapper_call

NO_IMAGE = " if observations are not images, a Box of uint8 from 0 to 255 of shape"


def making_limit(who: str, timeout: float = 0) -> Watchdog:
    """A context in which an environment of this process must be made."""
    setting = " (env_timeout)" if timeout > START_TIMEOUT else ""
    return Watchdog(max(timeout, START_TIMEOUT), lambda: True, lambda: who, "was not made", setting)


def wrapped(env: gymnasium.Env, wrapper: str) -> gymnasium.Env:
    """The environment in a wrapper, which is written as `wrapper_call` reads it."""
    call = wrapper_call(wrapper)
    given = f"wrappers has {short(wrapper)}, but"
    try:
        with making_limit("the environment"):
            module = importlib.import_module(call.module)
    except EnvironmentFault:
        raise
    except (Exception, SystemExit) as error:
        reason = " ".join(str(error).split()) if isinstance(error, ImportError) else f"it raised {describe(error)}"
        raise UserError(f"{given} the module {call.module} cannot be imported: {reason.rstrip('.')}.") from error
    found = getattr(module, call.name, None)
    if found is None or not _is_wrapper(found):
        what = f"no {call.name}" if found is None else f"a {call.name} that is no gymnasium.Wrapper"
        names = [name for name in dir(module) if name[0] != "_" and _is_wrapper(getattr(module, name, None))]
        raise UserError(f"{given} {call.module} has {what}; its wrappers are: {', '.join(names) or 'none'}.")
    try:
        with making_limit("the environment"):
            return found(env, *call.args, **call.kwargs)
    except (UserError, EnvironmentFault):
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"{given} it raised {describe(error)}{signature(found, error)}.") from error


def _is_wrapper(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, gymnasium.Wrapper)


def wrapper_settings(config: PPOConfig) -> list[str]:
    """The names of those settings that put wrappers around each environment, in the order in which they are applied."""
    used = {
        "wrappers": config.wrappers, "obs_grayscale": config.obs_grayscale, "obs_resize": config.obs_resize,
        "frame_stack": config.frame_stack > 1, "rescale_actions": config.rescale_actions,
    }  # fmt: skip
    return [name for name, asked in used.items() if asked]


def wrapper_steps(config: PPOConfig) -> Iterator[Callable[[gymnasium.Env], gymnasium.Env]]:
    """Functions that put an environment into one wrapper each, for all `wrapper_settings`, the innermost first.

    They raise UserError if the wrapper cannot be applied, or is not for the spaces of the environment.
    """
    for wrapper in config.wrappers:
        yield partial(wrapped, wrapper=wrapper)
    shaping = {"obs_grayscale": _grey, "obs_resize": _resized, "frame_stack": _stacked, "rescale_actions": _rescaled}
    for name in wrapper_settings(config):
        if name in shaping:
            yield partial(shaping[name], config=config)


def _grey(env: gymnasium.Env, config: PPOConfig) -> gymnasium.Env:
    space = env.observation_space
    good = is_image(space) and space.shape is not None and len(space.shape) == 3 and space.shape[2] == 3
    check(good, "obs_grayscale", config.obs_grayscale, f"left away{NO_IMAGE} (height, width, 3), but in {short(space)}")
    return GrayscaleObservation(env)


def _resized(env: gymnasium.Env, config: PPOConfig) -> gymnasium.Env:
    space = env.observation_space
    good = is_image(space) and space.shape is not None and len(space.shape) in (2, 3)
    shapes = "(height, width) or (height, width, channels)"
    check(good, "obs_resize", config.obs_resize, f"left away{NO_IMAGE} {shapes}, but in {short(space)}")
    require_extra("cv2", "images", "--obs-resize")
    height, width = config.obs_resize
    return ResizeObservation(env, (height, width))


def _stacked(env: gymnasium.Env, config: PPOConfig) -> gymnasium.Env:
    space = env.observation_space
    allowed = f"1 if observations are not in a Box, but in {short(space)}"
    check(isinstance(space, spaces.Box), "frame_stack", config.frame_stack, allowed)
    # Copies: the stack keeps what it is given, and an environment may write into an observation that it has given.
    return FrameStackObservation(TransformObservation(env, np.array, None), config.frame_stack)


def _rescaled(env: gymnasium.Env, config: PPOConfig) -> gymnasium.Env:
    """The environment with actions a in [-1, 1] for its own ones: low (1 - t) + high t,   t = (a + 1) / 2.

    As Gymnasium's RescaleAction, but nothing leads out of the bounds, as rounding does there.
    """
    space = env.action_space
    allowed = f"left away if actions are not in a Box of floats with finite bounds, but in {short(space)}"
    if not isinstance(space, spaces.Box):
        raise UserError(f"rescale_actions is {config.rescale_actions}, but it must be {allowed}.")
    low, high = space.low.astype(float), space.high.astype(float)
    good = space.dtype.kind == "f" and np.isfinite([low, high]).all() and (low < high).all()
    check(bool(good), "rescale_actions", config.rescale_actions, allowed)

    own = partial(rescaled_action, space=space)
    return TransformAction(env, own, spaces.Box(-1, 1, space.shape, space.low.dtype.type))


def rescaled_action(action: np.ndarray, space: spaces.Box) -> np.ndarray:
    """The actions of a finite Box, (..., *shape), that actions in [-1, 1] stand for: -1 is low, 1 is high."""
    low, high = space.low.astype(float), space.high.astype(float)
    share = (action.astype(float) + 1) / 2
    return np.clip(low * (1 - share) + high * share, low, high).astype(space.dtype)


def far_box_warning(space: gymnasium.Space, config: PPOConfig) -> str:
    """A warning if a Gaussian of about [-1, 1], with which training begins, hardly acts within a Box; else empty.

    That is so if a finite component of the Box is more than 10 or less than 0.1 wide, or does not contain 0.
    """
    if not isinstance(space, spaces.Box) or config.action_distribution != "gaussian":
        return ""
    low, high = space.low.astype(float), space.high.astype(float)
    finite = np.isfinite(low) & np.isfinite(high)
    width = np.where(finite, high - low, 1)
    far = finite & ((width > 10) | (width < 0.1) | (low > 0) | (high < 0))
    if not far.any():
        return ""
    which = "" if far.all() else f" in component {int(far.reshape(-1).argmax())}"
    remedy = "rescale_actions (--rescale-actions) maps [-1, 1] to it"
    if not finite.all():
        remedy = "let the environment, or a wrapper, map numbers near 0 to it"
    return f"The action space is {short(space)}, far{which} from [-1, 1], where a Gaussian begins: {remedy}."


def signature(made_by: Callable[..., Any] | None, error: BaseException) -> str:
    """What a constructor or a function takes, as the end of a sentence, if the error is about its arguments."""
    with suppress(TypeError, ValueError):
        if made_by is not None and isinstance(error, TypeError) and "argument" in str(error):
            text = f"{getattr(made_by, '__name__', 'it')}{inspect.signature(made_by)}"
            return f" (the arguments are {' '.join(text.split())})"
    return ""
