"""Errors that the commands report in one sentence, without a traceback."""

import importlib.util
from collections.abc import Mapping
from typing import Any


class UserError(Exception):
    """A mistake of the user: bad argument, missing file, unknown environment. The commands exit with code 2.

    The message is one sentence that names the argument, what was given and what is allowed.
    """


class RunError(Exception):
    """A run has failed; the message is one sentence that says why. The commands exit with code 1."""


class DivergedError(RunError):
    """Training has produced a number that is not finite; the message says where.

    Attributes:
        crash: everything that is needed to repeat the computation, a `Crash`.
    """

    crash: object = None


class EnvironmentFault(RunError):  # noqa: N818  a fault, not an error of ours
    """An environment has failed: it raised an exception, gave a number that is not finite, died or hangs.

    The message names the index of the environment and the step. The parameters are those after the last minibatch.

    Attributes:
        numbers: the observations or rewards, by name, that were not finite; None for other faults.
        crash: everything that is needed to repeat the computation, if there are `numbers`.
    """

    numbers: Mapping[str, Any] | None = None
    crash: object = None


class SavingError(RunError):
    """Training ended normally, but a file could not be written; the message names it."""


class RanksError(RunError):
    """The ranks of a run cannot work together; the message says which rank and why."""


def require_extra(module: str, extra: str, flag: str) -> None:
    """Raise UserError if the optional dependency `module` of a flag is not installed; the message names the extra."""
    if importlib.util.find_spec(module) is None:
        raise UserError(f"{flag} needs {module}, which is not installed: pip install 'ppo_np[{extra}]'.")


def short(value: object, length: int = 200) -> str:
    """The repr of a value on one line, cut after so many characters."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python does not print integers of more than 4300 digits
        text = f"{type(value).__name__} with too many digits to print"
    return text if len(text) <= length else f"{text[:length]}..."


def check(condition: bool, argument: str, given: object, allowed: str) -> None:
    """Raise UserError with the standard message unless `condition` holds."""
    if not condition:
        raise UserError(f"{argument} is {short(given, 300)}, but it must be {allowed}.")
