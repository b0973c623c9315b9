"""The exceptions that are told in one sentence."""


class UserError(Exception):
    """A mistake of the user's: bad argument, missing file, unknown environment.

    The message is one sentence that names the argument, what was given and what is allowed. The commands print it
    without a traceback and exit with code 2.
    """


class DivergedError(Exception):
    """Training has met a number that is not finite; the message is one sentence that says where.

    The commands print it without a traceback and exit with code 1.
    """


def check(condition: bool, argument: str, given: object, allowed: str) -> None:
    """Raise `UserError` with the house sentence unless `condition` holds."""
    if not condition:
        raise UserError(f"{argument} is {given!r}, but it must be {allowed}.")
