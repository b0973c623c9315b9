"""What the commands share: exit codes, errors told in one sentence, settings from a preset and flags."""

import argparse
import inspect
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import TypeVar

import tyro

from ppo_np.config import ARTICLE, PPOConfig, preset_about, preset_for, preset_names
from ppo_np.errors import DivergedError, EnvironmentFault, RanksError, SavingError, UserError

Options = TypeVar("Options")

OURS = (DivergedError, EnvironmentFault, RanksError, SavingError)
DONE, FAILED, BAD_ARGUMENTS, INTERRUPTED = 0, 1, 2, 130


def run(main: Callable[[], int | None]) -> None:
    """Run a command and exit with its code.

    A `UserError` becomes one line on stderr and code 2; other errors of ours one line and code 1.

    Other exceptions are bugs and keep their traceback.
    """
    try:
        code = main()
    except (UserError, *OURS, KeyboardInterrupt) as error:
        code, text = exit_code_and_message(error)
        print(text, file=sys.stderr)
    sys.exit(code)


def exit_code_and_message(error: BaseException, who: str = "") -> tuple[int, str]:
    """Exit code and message for an exception.

    Args:
        error: a bug keeps its traceback.
        who: whose it is, if there are several.
    """
    if isinstance(error, SystemExit):  # who raised it has told why
        return int(error.code or 0), ""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted"
    if isinstance(error, UserError):
        return BAD_ARGUMENTS, f"error: {who}{error}"
    if isinstance(error, OURS):
        return FAILED, " ".join([f"error: {who}{error}", *getattr(error, "__notes__", ())])
    return FAILED, who + "".join(traceback.format_exception(error)).rstrip()


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
    given = partial_parser(prog, "--preset", "--env-id").parse_known_args(arguments)[0]
    preset = given.preset or (given.env_id and preset_for(given.env_id)) or ARTICLE
    return parse_from(options(preset=preset, config=PPOConfig.preset(preset)), arguments, prog, more_help)


def partial_parser(prog: str, *flags: str) -> argparse.ArgumentParser:
    """A parser that looks for a few flags only, before the defaults of the others are known."""
    parser = argparse.ArgumentParser(prog=prog, add_help=False, allow_abbrev=False)
    for flag in flags:
        parser.add_argument(flag, "--" + flag[2:].replace("-", "_"))
    return parser


def parse_from(default: Options, arguments: Sequence[str], prog: str, more_help: str = "") -> Options:
    """Read options that start from `default` and are changed by the flags; see `parse_with_preset`."""
    description = f"{inspect.getdoc(type(default))}\n\nPresets: {', '.join(preset_names())}.{more_help}"
    return tyro.cli(type(default), args=arguments, default=default, description=description, prog=prog)


def preset_list() -> str:
    """The presets, one a line: name, environment, steps, and what its file says of it."""
    names = preset_names()
    configs = [PPOConfig.preset(name) for name in names]
    return "\n".join(
        f"{name:<22}  {config.env_id:<26}{config.total_timesteps:>11,} steps  {preset_about(name)}"
        for name, config in zip(names, configs, strict=True)
    )
