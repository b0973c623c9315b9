"""Flags of the train command with several values, and the settings that their product gives."""

import itertools
import re
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError, check
from ppo_np.running import cli
from ppo_np.running.options import TrainOptions

Words = tuple[str, ...]
LONGEST = 120  # characters of the name of a folder
# Flags of train that do not belong to a sweep or a search, and what stands for them.
REFUSED = {
    "seed": "its own flag for seeds", "list_presets": "python -m ppo_np.train --list-presets",
    "ranks": "--jobs: each run is one process",
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """One setting of a sweep.

    Attributes:
        name: of its folder, such as "learning_rate=0.001,norm_obs=True"; empty if no flag has several values.
        values: those of the flags with several values, by the names of their fields.
        arguments: of `python -m ppo_np.train`, without seed and folder.
        options: what these arguments mean.
    """

    name: str
    values: dict[str, Any]
    arguments: Words
    options: TrainOptions


def separate(arguments: Iterable[str], own: Iterable[str]) -> tuple[list[str], list[Words]]:
    """The arguments of the flags `own` (names of fields), and those of all other flags, a tuple a flag.

    Raises UserError if a word stands before the first flag.
    """
    groups: list[list[str]] = []
    for word in arguments:
        if word == "-h" or (word.startswith("--") and len(word) > 2):
            flag, equals, value = word.partition("=")
            groups.append([flag.replace("_", "-"), value] if equals else [flag.replace("_", "-")])
        else:
            check(bool(groups), "the first argument", word, "a flag, such as --env-id")
            groups[-1].append(word)
    mine = {"-h", "--help", *(f"--{name.replace('_', '-')}" for name in own)}
    kept = [word for group in groups if group[0] in mine for word in group]
    return kept, [tuple(group) for group in groups if group[0] not in mine]


def axes(groups: Iterable[Words]) -> dict[str, list[Words]]:
    """The choices of each flag of train, by the name of its field, each as the words of a command line.

    A flag that takes one value may have several; any flag may occur several times. Raises UserError for a flag that
    does not belong here.
    """
    kinds = {**typing.get_type_hints(TrainOptions), **typing.get_type_hints(PPOConfig)}
    found: dict[str, list[Words]] = {}
    for flag, *values in groups:
        name = flag[2:].replace("-", "_")
        if name.startswith("no_") and kinds.get(name[3:]) is bool:
            name = name[3:]
        if name in REFUSED:
            raise UserError(f"{flag} belongs to python -m ppo_np.train; here it is {REFUSED[name]}.")
        hint = kinds.get(name, bool)  # the parser of train refuses what it does not know
        many = hint is bool or dict in _types(hint) or tuple in _types(hint) or not values
        found.setdefault(name, []).extend([(flag, *values)] if many else [(flag, value) for value in values])
    return found


def _types(hint: Any) -> list[Any]:
    """The types of a union, without their arguments: [tuple, NoneType] for tuple[str, ...] | None."""
    parts = typing.get_args(hint) if type(None) in typing.get_args(hint) else [hint]
    return [typing.get_origin(part) or part for part in parts]


def settings(choices: dict[str, list[Words]], prog: str) -> list[Setting]:
    """The product of all choices, the first flag changing slowest.

    Raises UserError if a value is not allowed, if an environment cannot be made, or if two settings are the same, and
    SystemExit if a flag is unknown or malformed.
    """
    swept = [name for name, words in choices.items() if len(words) > 1]
    found: list[Setting] = []
    for point in itertools.product(*choices.values()):
        given = [word for words in point for word in words]
        options = cli.parse_with_preset(TrainOptions, given, prog)
        arguments = _with_one_thread(cli.with_chosen_preset(given, prog, options.preset, options.config))
        known = vars(options) | vars(options.config)
        values = {name: known.get(name) for name in swept}
        same = [one.name for one in found if one.values == values]
        check(not same, " and ".join(swept), values, "a setting that is there once")
        taken = {one.name for one in found}
        found.append(Setting(_unused(folder_name(values), taken), values, arguments, options))
    return found


def _with_one_thread(arguments: Sequence[str]) -> Words:
    """The arguments of train, with one thread if they do not say how many."""
    return tuple(arguments) if "--threads" in arguments else (*arguments, "--threads", "1")


def folder_name(values: dict[str, Any]) -> str:
    """The name of a setting's folder: name=value of each flag, separated by commas."""
    texts = [f"{name}={text_of(name, value)}" for name, value in values.items()]
    return re.sub(r"[^\w.,=+-]", "_", ",".join(texts))[:LONGEST]


def text_of(name: str, value: Any) -> str:
    """A value in a short text without spaces: 0.001, 64x64, is_slippery=False; of a preset's file, its name alone."""
    if name == "preset" and str(value).endswith(".toml"):
        return Path(value).stem
    if isinstance(value, tuple):
        return "x".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return "+".join(f"{key}={one}" for key, one in value.items()) or "none"
    return str(value)


def _unused(name: str, taken: set[str]) -> str:
    """The name, with a number if it is taken."""
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    return next(one for one in itertools.chain([name], numbered) if one not in taken)
