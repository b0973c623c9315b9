"""Attributes and methods of all environments of a vector environment."""

from typing import Any

from gymnasium.vector import VectorEnv

from ppo_np.environments.attribute_changes import CALL, SET, Answer
from ppo_np.environments.compiled_envs import CompiledVectorEnv
from ppo_np.errors import UserError


def check_askable(envs: VectorEnv, name: str) -> None:
    """Raise UserError, about the attribute `name`, if there are no single environments that can be asked."""
    if isinstance(envs, CompiledVectorEnv) or not hasattr(envs, "call"):
        raise UserError(
            f"name is {name!r}, but {type(envs).__name__} has no single environments with attributes and methods: make "
            "them with vectorization 'sync' or 'async'."
        )


def ask_each(
    envs: Any, guarded: bool, what: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[Answer]:
    """The answer of each environment.

    Args:
        envs: the vector environment. guarded: whether its environments are each a `Guard`.
        what, name, args, kwargs: as for `ask`.

    Raises what environments that are not guarded raise.
    """
    if guarded:
        return list(envs.call("ask", what, name, args, kwargs))
    if what == SET:
        envs.set_attr(name, [args[0]] * envs.num_envs)  # one for each environment
        return [Answer(None)] * envs.num_envs
    return [Answer(one) for one in (envs.call(name, *args, **kwargs) if what == CALL else envs.get_attr(name))]
