"""What the commands share: exit codes, and errors told in one sentence."""

import importlib.util
import sys
from collections.abc import Callable

from ppo_np.errors import UserError

DONE, FAILED, BAD_ARGUMENTS, INTERRUPTED = 0, 1, 2, 130


def run(main: Callable[[], int | None]) -> None:
    """Run a command and exit with its code; a `UserError` becomes one line on stderr and code 2.

    Other exceptions are bugs and keep their traceback.
    """
    try:
        code = main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = BAD_ARGUMENTS
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = INTERRUPTED
    sys.exit(code)


def require_extra(module: str, extra: str, flag: str) -> None:
    """Refuse a flag whose optional dependency is not installed.

    Raises:
        UserError: `module` cannot be imported; the message names the extra that brings it.
    """
    if importlib.util.find_spec(module) is None:
        raise UserError(f"{flag} needs {module}, which is not installed: pip install 'ppo_np[{extra}]'.")
