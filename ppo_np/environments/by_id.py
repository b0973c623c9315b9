"""Environments by their Gymnasium id: the arguments for Gymnasium, and exceptions and warnings about an id."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import gymnasium
from gymnasium.envs.registration import load_env_creator

from ppo_np.config import PPOConfig
from ppo_np.environments.guard import describe
from ppo_np.environments.wrapping import making_limit, signature
from ppo_np.errors import EnvironmentFault, UserError


def arguments(config: PPOConfig) -> dict[str, Any]:
    """The keyword arguments with which an environment is made by its id."""
    limit = config.max_episode_steps
    return config.env_kwargs | ({} if limit is None else {"max_episode_steps": limit})


@contextmanager
def as_user_error(config: PPOConfig) -> Iterator[None]:
    """Turn exceptions about an id into a `UserError`; show Gymnasium's warnings only if there was no exception."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            module, colon, _ = config.env_id.rpartition(":")
            if colon and not all(map(str.isidentifier, module.split("."))):
                raise gymnasium.error.Error("an id may have one colon, and before it the name of a module to import")
            with making_limit("the environment"):
                yield
        except (UserError, EnvironmentFault):
            raise
        except (Exception, SystemExit) as error:
            told = isinstance(error, gymnasium.error.Error | ImportError)
            reason = " ".join(str(error).split()) if told else f"it raised {describe(error)}"
            reason = f"{reason.rstrip('.?')}{_remedy(config, error)}"
            raise UserError(f"env_id is {config.env_id!r}, but no such environment can be made: {reason}.") from error
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _remedy(config: PPOConfig, error: BaseException) -> str:
    """What to do about an environment that cannot be made by its id, as the end of a sentence."""
    module, colon, name = config.env_id.rpartition(":")
    if module.endswith(".py"):
        return f" (write {module.removesuffix('.py')}:{name}, without .py)"
    if not colon and isinstance(error, gymnasium.error.NameNotFound | gymnasium.error.NamespaceNotFound):
        return " (ids of other packages and of your own files are written module:Id-v0)"
    missing = isinstance(error, TypeError) and "missing" in str(error)
    return " (give them as env_kwargs)" * missing + signature(_creator(config), error)


def _creator(config: PPOConfig) -> Callable[..., Any] | None:
    """The class or the function that makes the environment of an id; None if it is not known."""
    with suppress(Exception):
        spec = gymnasium.spec(config.env_id)
        entry = spec.vector_entry_point if config.vectorization == "vector" else spec.entry_point
        return load_env_creator(entry) if isinstance(entry, str) else entry
    return None
