"""Attributes of the environments that were set from outside: recorded, so that a resumed run can set them again.

An environment is restored by repeating the actions of its present episode. An attribute that was set in between belongs
to that history: it is set again after the same number of actions, or before the reset if it was set earlier.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from ppo_np.errors import EnvironmentFault
from ppo_np.literals import is_literal, literal, literal_text

GET, SET, CALL = "get", "set", "call"  # what can be asked of an environment


class Change(NamedTuple):
    """An attribute was set to a value after so many steps of each environment in all."""

    step: int
    name: str
    value: Any


class Answer(NamedTuple):
    """What an environment answers when it is asked: a result, or why there is none.

    Attributes:
        missing: whether it has no attribute of this name.
        reason: the exception, on one line; empty if there was none.
    """

    result: Any
    missing: bool = False
    reason: str = ""


class AttributeChanges:
    """What was set in all environments, as far as the present episodes depend on it.

    Attributes:
        changes: in their order. Of those before all present episodes, only the last one of each name is kept.
        untracked: names of attributes whose values are no Python literals, and of methods that were called. They cannot
            be repeated.
    """

    def __init__(self, changes: Sequence[Change] = (), untracked: Sequence[str] = ()):
        self.changes, self.untracked = list(changes), list(untracked)

    def set(self, step: int, name: str, value: Any) -> None:
        """Record that an attribute was set after `step` steps."""
        self.changes = [change for change in self.changes if (change.step, change.name) != (step, name)]
        if is_literal(value):
            self.changes.append(Change(step, name, value))
        else:
            self.call(name)

    def call(self, name: str) -> None:
        """Record what cannot be repeated: a method was called, or an attribute was set to what is no literal."""
        if name not in self.untracked:
            self.untracked.append(name)

    def prune(self, before: int) -> None:
        """Drop what was overwritten before step `before`, in which the first of the present episodes began."""
        last = {change.name: change for change in self.changes if change.step < before}
        self.changes = [c for c in self.changes if c.step >= before or c is last[c.name]]

    def latest(self) -> dict[str, Any]:
        """The last value of each attribute."""
        return {change.name: change.value for change in self.changes}

    def of_episode(self, start: int) -> list[Change]:
        """The changes for an episode that began after step `start`: `step` counts from there, and is < 0 before it."""
        return [change._replace(step=change.step - start) for change in self.changes]

    def packed(self, until: int) -> np.ndarray | None:
        """The changes up to step `until` as (B,) uint8, the bytes of a JSON document; None if there are none."""
        changes = [(step, name, literal_text(value)) for step, name, value in self.changes if step <= until]
        document = {"changes": changes, "untracked": self.untracked}
        return np.frombuffer(json.dumps(document).encode(), np.uint8) if changes or self.untracked else None

    @classmethod
    def unpacked(cls, packed: np.ndarray | None) -> "AttributeChanges":
        """The inverse of `packed`. Raises ValueError if it is something else."""
        if packed is None:
            return cls()
        if packed.dtype != np.uint8 or packed.ndim != 1:
            raise ValueError("changes of environments are of another type")
        try:
            document = json.loads(packed.tobytes())
            changes = [Change(int(step), str(name), literal(str(text))) for step, name, text in document["changes"]]
            return cls(changes, [str(name) for name in document["untracked"]])
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError("changes of environments are of another form") from error


def ask(
    env: gymnasium.Env, what: str, name: str, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
) -> Any:
    """Get or set an attribute of an environment or of the outermost of its wrappers that has it, or call a method.

    Raises AttributeError if there is none with this name.
    """
    if not env.has_wrapper_attr(name):
        raise AttributeError(f"no attribute {name!r}")
    if what == SET:
        return env.set_wrapper_attr(name, args[0])
    attribute = env.get_wrapper_attr(name)
    return attribute(*args, **(kwargs or {})) if what == CALL else attribute


def set_again(env: gymnasium.Env, changes: Sequence[Change]) -> None:
    """Set attributes in their order. Raises EnvironmentFault if that fails."""
    for change in changes:
        try:
            ask(env, SET, change.name, (change.value,))
        except Exception as error:
            raise EnvironmentFault(f"the attribute {change.name} cannot be set again") from error
