"""Puts a wrapper around an environment, and limits the time that making one may take."""

import importlib
import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gymnasium

from ppo_np.environments.guard import describe
from ppo_np.environments.watchdog import Watchdog
from ppo_np.environments.workers import START_TIMEOUT
from ppo_np.errors import EnvironmentFault, UserError, short
from ppo_np.literals import wrapper_call


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


def signature(made_by: Callable[..., Any] | None, error: BaseException) -> str:
    """What a constructor or a function takes, as the end of a sentence, if the error is about its arguments."""
    with suppress(TypeError, ValueError):
        if made_by is not None and isinstance(error, TypeError) and "argument" in str(error):
            text = f"{getattr(made_by, '__name__', 'it')}{inspect.signature(made_by)}"
            return f" (the arguments are {' '.join(text.split())})"
    return ""
