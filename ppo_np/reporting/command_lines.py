"""The commands that repeat a run, from its config.json."""

import dataclasses
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError
from ppo_np.reporting.groups import Run
from ppo_np.running.options import PROGRAM, TrainOptions
from ppo_np.schedules import FROM_PYTHON

LEFT_OUT = ("preset", "list_presets", "config", "run_dir", "resume", "track")  # given otherwise, or not at all


def train_command(run: Run) -> str:
    """The command that starts a run with these settings again, from its first step."""
    words = ["--preset", run.preset, *_flags(run.config, run.usual | {"env_id": PPOConfig.preset(run.preset).env_id})]
    options = run.document.get("options")
    usual = {field.name: field.default for field in dataclasses.fields(TrainOptions) if field.name not in LEFT_OUT}
    given = {k: v for k, v in options.items() if k in usual} if isinstance(options, dict) else {}
    return f"{PROGRAM} {shlex.join([*words, *_flags(given, usual)])}"


def evaluate_command(run: Run, policy: str) -> str:
    """The command that plays 100 episodes with a policy of the run, the name of a file in its folder."""
    return f"python -m ppo_np.evaluate {shlex.quote(str(run.folder / policy))}"


def _flags(values: Mapping[str, Any], usual: Mapping[str, Any]) -> Iterator[str]:
    """The flags for the values that are not the usual ones."""
    for name, value in values.items():
        if value == usual.get(name) or value == FROM_PYTHON:
            continue
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            yield flag if value else f"--no-{flag[2:]}"
        elif isinstance(value, dict):
            yield from (flag, *(f"{k}={v}" for k, v in value.items()))
        elif isinstance(value, list):
            yield from (flag, *map(str, value))
        else:
            yield from (flag, str(value))


def obstacles(run: Run) -> list[str]:
    """Why the command may not repeat the run exactly, a sentence each; empty if nothing stands against it."""
    notes = []
    functions = [name for name, value in run.config.items() if value == FROM_PYTHON]
    if functions:
        notes.append(f"{', '.join(functions)}: a function that was given in Python; the command lacks it.")
    if run.document["preset"] != run.preset:
        lost = run.document["preset"]
        notes.append(f"The preset {lost} cannot be read here; the command begins with the settings of {run.preset}.")
    resumed = run.document.get("resumed")
    steps = ", ".join(f"{step:,}" for step in resumed if type(step) is int) if isinstance(resumed, list) else ""
    if steps:
        notes.append(
            f"Resumed at step {steps}. If steps were added there, the schedules of the first part were shorter."
        )
    try:
        if PPOConfig.from_dict(run.config).env_id == "":
            notes.append("The environment was made in Python and has no id.")
    except UserError as error:
        notes.append(str(error))
    return notes
