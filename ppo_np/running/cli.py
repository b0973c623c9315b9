"""Shared code of the commands: exit codes, error messages, settings from a preset and flags."""

import argparse
import dataclasses
import inspect
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, TypeVar

import tyro

from ppo_np.config import (
    ARTICLE,
    GENERIC_CONTINUOUS,
    GENERIC_DISCRETE,
    PPOConfig,
    preset_about,
    preset_for,
    preset_names,
)
from ppo_np.errors import RunError, UserError, check
from ppo_np.literals import literal, literal_text
from ppo_np.running.chosen_settings import generic_preset
from ppo_np.running.output import is_broken_pipe, lenient_output, stdout_failure
from ppo_np.schedules import FACTORS, SETTINGS, Schedule, as_text, field_of
from ppo_np.setting_names import ELSEWHERE, RENAMED, suggestion

Options = TypeVar("Options")
GENERIC = GENERIC_DISCRETE, GENERIC_CONTINUOUS

DONE, FAILED, BAD_ARGUMENTS, INTERRUPTED = 0, 1, 2, 130  # exit codes
NUMBERS = tyro.constructors.ConstructorRegistry()  # 1e6 for integers, and name=value: `with NUMBERS: tyro.cli(...)`
NOT_READ = 141  # 128 + the number of SIGPIPE: nobody read all of standard output


def run(main: Callable[[], int | None]) -> None:
    """Run a command and exit with its code. Errors are printed in one line on stderr; bugs keep their traceback.

    A standard output that cannot be written does not stop the command; its exit code is then FAILED or NOT_READ.
    """
    code: int | str | None
    with lenient_output(), _plain_warnings():
        try:
            code = main()
        except SystemExit as stop:  # --help, or a malformed flag
            code = stop.code
        except (UserError, RunError, KeyboardInterrupt) as error:
            code, text = exit_code_and_message(error)
            print(text, file=sys.stderr)
        code = code or _code_of_output()
    sys.exit(code)


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """A context in which warnings are printed as one sentence, without the file and the line of our code."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


def _code_of_output() -> int:
    """DONE if all of standard output was written. Otherwise, except after `| head`, print why it was not."""
    failure = stdout_failure()
    if failure is None:
        return DONE
    if is_broken_pipe(failure):
        return NOT_READ
    print(f"error: standard output could not be written: {os.strerror(failure.errno or 0)}.", file=sys.stderr)
    return FAILED


def exit_code_and_message(error: BaseException, who: str = "") -> tuple[int, str]:
    """Exit code and message for an exception; `who` (a rank) stands before the message. A bug keeps its traceback."""
    if isinstance(error, SystemExit):  # the message has already been printed
        return int(error.code or 0), ""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted"
    if isinstance(error, UserError):
        return BAD_ARGUMENTS, f"error: {who}{error}"
    if isinstance(error, RunError):
        return FAILED, " ".join([f"error: {who}{error}", *getattr(error, "__notes__", ())])
    return FAILED, who + "".join(traceback.format_exception(error)).rstrip()


def parse_with_preset(
    options: Callable[..., Options], arguments: Sequence[str], prog: str, more_help: str = ""
) -> Options:
    """Read `options`, a dataclass with `preset` and `config`, from the command line `arguments` of the command `prog`.

    The flags change the settings of a preset: the one that --preset names; else the one for --env-id; else, if there is
    an --env-id, the generic one for the spaces of that environment, which is made to see them; else the article's.
    `more_help` is added to the end of the help text.

    Raises:
        UserError: A value is not allowed, or there is no such preset, or the environment cannot be made.
        EnvironmentFault: The environment was not made in time.
        SystemExit: A flag is unknown or malformed, or help was requested.
    """
    given = partial_parser(prog, "--preset", "--env-id").parse_known_args(arguments)[0]
    preset = given.preset or (preset_for(given.env_id) if given.env_id else ARTICLE)
    if preset:
        return parse_from(options(preset=preset, config=PPOConfig.preset(preset)), arguments, prog, more_help)
    config = PPOConfig.preset(GENERIC_DISCRETE)
    seen: Any = parse_from(options(preset=GENERIC_DISCRETE, config=config), arguments, prog, more_help)
    if any(argument.startswith("--list") for argument in arguments):
        return seen
    from ppo_np.environments.make import spaces_of_training  # slow imports: here, they do not delay --help

    preset, norm_obs = generic_preset(spaces_of_training(seen.config))
    config = dataclasses.replace(PPOConfig.preset(preset), norm_obs=norm_obs)
    return parse_from(options(preset=preset, config=config), arguments, prog, more_help)


def with_chosen_preset(arguments: Sequence[str], prog: str, preset: str, config: PPOConfig) -> list[str]:
    """The arguments of a command, in which the preset that was chosen for them is named: no other process looks."""
    given = partial_parser(prog, "--preset", "--resume").parse_known_args(arguments)[0]
    if given.preset or given.resume or preset not in GENERIC:
        return list(arguments)
    return ["--preset", preset, "--norm-obs" if config.norm_obs else "--no-norm-obs", *arguments]


def partial_parser(prog: str, *flags: str) -> argparse.ArgumentParser:
    """A parser for a few flags, used before the defaults of the other flags are known."""
    parser = argparse.ArgumentParser(prog=prog, add_help=False, allow_abbrev=False)
    for flag in flags:
        parser.add_argument(flag, "--" + flag[2:].replace("-", "_"))
    return parser


def parse_from(default: Options, arguments: Sequence[str], prog: str, more_help: str = "") -> Options:
    """Read options from the command line. Flags change the values of `default`; see `parse_with_preset`."""
    _check_flags(default, arguments)
    description = f"{inspect.getdoc(type(default))}\n\nPresets: {', '.join(preset_names())}.{more_help}"
    with NUMBERS:
        options = tyro.cli(type(default), args=arguments, default=default, description=description, prog=prog)
    if isinstance(config := getattr(options, "config", None), PPOConfig):
        _check_annealing(config, arguments)
    return options


def _check_flags(default: object, arguments: Sequence[str]) -> None:
    """Raise UserError if a flag has the name that another library gives to a setting, and say ours.

    Other unknown flags are left to tyro, which shows similar ones.
    """
    known = {field.name for options in (default, PPOConfig) for field in dataclasses.fields(options)}  # type: ignore[arg-type]
    for argument in arguments:
        flag = argument.partition("=")[0]
        name = flag.removeprefix("--").replace("-", "_")
        if flag.startswith("--") and name not in known and name in RENAMED | ELSEWHERE:
            hint = suggestion(name, known)
            if name in RENAMED:
                hint = f"did you mean --{RENAMED[name].replace('_', '-')}?"
            raise UserError(f"{flag} is no flag: {hint}")


def _check_annealing(config: PPOConfig, arguments: Sequence[str]) -> None:
    """Raise UserError if an --anneal flag was given that contradicts the schedule in force."""
    for setting, flag in SETTINGS.items():
        yes, no = f"--{flag.replace('_', '-')}", f"--no-{flag.replace('_', '-')}"
        given = [one for argument in arguments if (one := argument.replace("_", "-")) in (yes, no)]
        schedule = config.schedules[setting]
        wanted = "linear" if given[-1:] == [yes] else "constant"
        if not given or schedule == wanted:
            continue
        adaptive = setting == "learning_rate" and config.kl_adaptive_lr is not None
        name, value = ("kl_adaptive_lr", config.kl_adaptive_lr) if adaptive else (field_of(setting), schedule)
        check(False, name, value, f"{'' if adaptive else f'{wanted} or '}left away with {given[-1]}")


def whole_number(text: str) -> int:
    """The integer that a text stands for: 1000000, 1_000_000, 1e6. Raises ValueError for 1.5, 1e-3, inf and 1e400."""
    try:
        number = Decimal(text)
        if number.adjusted() < sys.float_info.max_10_exp and number == int(number):
            return int(number)
    except (ArithmeticError, ValueError):  # not a number, or not finite
        pass
    raise ValueError(f"{text!r} is not a whole number")


@NUMBERS.primitive_rule
def _whole_numbers(flag: tyro.constructors.PrimitiveTypeInfo) -> tyro.constructors.PrimitiveConstructorSpec | None:
    """Read flags with integers by `whole_number`."""
    if flag.type is not int:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1, metavar="INT", instance_from_str=lambda texts: whole_number(texts[0]),
        is_instance=lambda value: type(value) is int, str_from_instance=lambda value: [str(value)],
    )  # fmt: skip


def keyword_arguments(texts: Sequence[str]) -> dict[str, Any]:
    """The keyword arguments that texts of the form name=value name; each value is read by `literal`.

    Raises UserError if a text has another form, or if a name occurs twice.
    """
    arguments: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        good = bool(equals) and name.isidentifier()
        check(good, "env_kwargs", text, "name=value, with the name of a keyword argument")
        check(name not in arguments, "env_kwargs", text, "name=value, with each name once")
        arguments[name] = literal(value)
    return arguments


@NUMBERS.primitive_rule
def _keyword_arguments(flag: tyro.constructors.PrimitiveTypeInfo) -> tyro.constructors.PrimitiveConstructorSpec | None:
    """Read flags with keyword arguments by `keyword_arguments`."""
    if flag.type != dict[str, Any]:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs="*", metavar="[NAME=VALUE ...]", instance_from_str=keyword_arguments,
        is_instance=lambda value: type(value) is dict,
        str_from_instance=lambda value: [f"{name}={literal_text(one)}" for name, one in value.items()],
    )  # fmt: skip


@NUMBERS.primitive_rule
def _schedules(flag: tyro.constructors.PrimitiveTypeInfo) -> tyro.constructors.PrimitiveConstructorSpec | None:
    """Read flags with schedules as they are: `PPOConfig` checks them."""
    if flag.type != Schedule:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1, metavar=f"{{{','.join(FACTORS)},FILE.py:function}}", instance_from_str=lambda texts: texts[0],
        is_instance=lambda value: value is None or isinstance(value, str) or callable(value),
        str_from_instance=lambda value: [str(as_text(value))],
    )  # fmt: skip


def preset_list() -> str:
    """The presets, one per line: name, environment, steps and description."""
    configs = {name: PPOConfig.preset(name) for name in preset_names()}
    return "\n".join(
        f"{name:<22}  {'any' if name in GENERIC else config.env_id:<26}{config.total_timesteps:>11,} steps  "
        f"{preset_about(name)}"
        for name, config in configs.items()
    )


def preset_line(preset: str, config: PPOConfig) -> str:
    """A line about a generic preset, which may have been chosen by the spaces; empty for another one."""
    if preset not in GENERIC:
        return ""
    without = "" if config.norm_obs else " --no-norm-obs"
    return f"settings: --preset {preset}{without}; those of the article: --preset {ARTICLE}"
