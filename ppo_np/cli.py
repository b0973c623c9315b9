"""What the commands share: exit codes, errors told in one sentence, settings from a preset and flags."""

import argparse
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import tyro

from ppo_np.config import ARTICLE, PPOConfig, preset_about, preset_for, preset_names
from ppo_np.errors import DivergedError, EnvironmentFault, UserError

Options = TypeVar("Options")

DONE, FAILED, BAD_ARGUMENTS, INTERRUPTED = 0, 1, 2, 130


def run(main: Callable[[], int | None]) -> None:
    """Run a command and exit with its code.

    A `UserError` becomes one line on stderr and code 2; a `DivergedError` or an `EnvironmentFault` one line and code 1.

    Other exceptions are bugs and keep their traceback.
    """
    try:
        code = main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = BAD_ARGUMENTS
    except (DivergedError, EnvironmentFault) as error:
        print(f"error: {error}", file=sys.stderr)
        code = FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = INTERRUPTED
    sys.exit(code)


def parse_with_preset(options: type[Options], arguments: Sequence[str], prog: str, more_help: str = "") -> Options:
    """Read options whose `config` starts from the settings of a preset and is changed by the flags.

    The preset is the one that --preset names, else the one for --env-id, else the article's.

    Args:
        options: dataclass with the fields `preset` and `config`.
        arguments: of the command line.
        prog: how the command is called.
        more_help: goes below the docstring and the list of presets in the help text.

    Raises:
        UserError: A value is not allowed, or there is no such preset.
        SystemExit: A flag is unknown or malformed, or help was asked for.
    """
    finder = argparse.ArgumentParser(prog=prog, add_help=False, allow_abbrev=False)
    finder.add_argument("--preset")
    finder.add_argument("--env-id", "--env_id")
    given = finder.parse_known_args(arguments)[0]
    preset = given.preset or (given.env_id and preset_for(given.env_id)) or ARTICLE
    default = options(preset=preset, config=PPOConfig.preset(preset))
    description = f"{inspect.getdoc(options)}\n\nPresets: {', '.join(preset_names())}.{more_help}"
    return tyro.cli(options, args=arguments, default=default, description=description, prog=prog)


def preset_list() -> str:
    """The presets, one a line: name, environment, steps, and what its file says of it."""
    names = preset_names()
    configs = [PPOConfig.preset(name) for name in names]
    return "\n".join(
        f"{name:<22}  {config.env_id:<26}{config.total_timesteps:>11,} steps  {preset_about(name)}"
        for name, config in zip(names, configs, strict=True)
    )
