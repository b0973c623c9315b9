"""Repeat the computation in which a run ended: `python -m ppo_np.replay crash.h5`."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from ppo_np.logs.filenames import CRASH
from ppo_np.running import cli
from ppo_np.running.output import make_console

if TYPE_CHECKING:
    from ppo_np.network.tensor_trace import Stage
    from ppo_np.saving.crash_file import Crash


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """Compute the arrays of a crash file again, stage by stage, and show the first number that is not finite.

    Exit code 1 if there is one, 0 if everything is finite here.
    """

    crash: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CRASH_FILE")]
    """The crash.h5 of a run, or the folder of that run."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, compute, print the stages, and return the exit code."""
    path = tyro.cli(ReplayOptions, args=arguments, prog="python -m ppo_np.replay").crash
    # These imports are slow. Here, they do not delay --help and error messages.
    from ppo_np.checking.crash_replay import recompute
    from ppo_np.network.tensor_trace import first_bad
    from ppo_np.saving.crash_file import read_crash

    crash = read_crash(path / CRASH if os.path.isdir(path) else path)
    stages = recompute(crash)
    _print(crash, stages)
    finding = first_bad(iter(stages))
    if finding is None:
        print("Everything is finite here: these numbers do not reproduce what ended the run.")
        return cli.DONE
    print(f"The first number that is not finite: {finding}.")
    return cli.FAILED


def _print(crash: "Crash", stages: list["Stage"]) -> None:
    import numpy as np
    from rich.table import Table

    table = Table(title=f"{crash.during}, computed again", title_style="")
    for column in ("stage", "shape", "smallest", "largest", "not finite"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for name, array in stages:
        finite = array[np.isfinite(array)]
        ends = (f"{finite.min():.4g}", f"{finite.max():.4g}") if finite.size else ("", "")
        bad = array.size - finite.size
        table.add_row(name, str(array.shape), *ends, str(bad or ""), style="bold red" if bad else "")
    print(crash.what)
    make_console().print(table)


if __name__ == "__main__":
    cli.run(main)
