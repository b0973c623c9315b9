"""The exceptions that are told in one sentence."""

import importlib.util

LONGEST_VALUE = 300  # of what a message repeats


class UserError(Exception):
    """A mistake of the user's: bad argument, missing file, unknown environment.

    The message is one sentence that names the argument, what was given and what is allowed. The commands print it
    without a traceback and exit with code 2.
    """


class DivergedError(Exception):
    """Training has met a number that is not finite; the message is one sentence that says where.

    The commands print it without a traceback and exit with code 1.

    Attributes:
        crash: everything that is needed to compute it again, a `ppo_np.saving.crash_file.Crash`.
    """

    crash = None


class EnvironmentFault(Exception):  # noqa: N818  a fault, not an error of ours
    """An environment has failed: an exception inside it, a number that is not finite, a worker that died or hangs.

    The message is one sentence with the environment's index and the step. The commands print it without a traceback and
    exit with code 1; the parameters are those of the last minibatch before.

    Attributes:
        numbers: observations or rewards by name, if they are what was wrong.
        crash: as of a `DivergedError`, if `numbers` are there.
    """

    numbers = None
    crash = None


class SavingError(Exception):
    """Training ended as it should, but something of it could not be written; the message is one sentence on what.

    The commands print it without a traceback and exit with code 1.
    """


class RanksError(Exception):
    """The ranks of a run cannot work together; the message is one sentence that says which and why.

    The commands print it without a traceback and exit with code 1.
    """


def require_extra(module: str, extra: str, flag: str) -> None:
    """Refuse a setting whose optional dependency is not installed.

    Raises:
        UserError: `module` cannot be found; the message names the extra that brings it.
    """
    if importlib.util.find_spec(module) is None:
        raise UserError(f"{flag} needs {module}, which is not installed: pip install 'ppo_np[{extra}]'.")


def check(condition: bool, argument: str, given: object, allowed: str) -> None:
    """Raise `UserError` with the house sentence unless `condition` holds."""
    if not condition:
        text = repr(given)
        shown = text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "..."
        raise UserError(f"{argument} is {shown}, but it must be {allowed}.")
