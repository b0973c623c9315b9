"""Write a trained policy into a file for other programs: `python -m ppo_np.export RUN OUT`."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from ppo_np.errors import UserError, check
from ppo_np.logs.filenames import CHECKPOINT
from ppo_np.running import cli

if TYPE_CHECKING:
    from ppo_np.exporting.export import Report


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Write a trained policy into a file for other programs, compare the two, and print how to use the file.

    The file holds the network, the normalisation of observations and the deterministic action. It also gives the value
    and the parameters of the distribution. If it differs from the policy, the exit code is 1, and no file is left.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN_OR_FILE")]
    """A run folder, or a checkpoint file."""
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """The new file: .onnx, .npz, .py (NumPy only), .h (C99) or .weights.h5 (Keras, for the article's model)."""
    observations: int = 1000
    """Random observations with which the file is compared with the policy; those of the checkpoint are added."""
    seed: int = 0
    """Seed of the random observations."""

    def __post_init__(self) -> None:
        check(self.observations >= 1, "observations", self.observations, "an integer >= 1")
        check(self.seed >= 0, "seed", self.seed, "an integer >= 0")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, write and verify the file, print what it differs by, and return the exit code."""
    with cli.NUMBERS:
        options = tyro.cli(ExportOptions, args=arguments, prog="python -m ppo_np.export")
    file = options.run / CHECKPOINT if os.path.isdir(options.run) else options.run
    if not os.path.isfile(file):
        given = str(options.run)
        raise UserError(f"RUN_OR_FILE is {given!r}, but it must be a run folder with a {CHECKPOINT} or such a file.")
    # Slow imports: here, they do not delay --help and error messages.
    from ppo_np.exporting.export import export, format_of, read_source

    format_of(options.out)
    _print(export(read_source(file), options.out, options.observations, options.seed), options.out)
    return cli.DONE


def _print(report: "Report", out: Path) -> None:
    differences = ", ".join(f"{name} {value:.1e}" for name, value in report.differences.items())
    print(f"policy        {report.arrays}")
    print(f"written       {out}, {report.size:,} bytes")
    print(f"compared on   {report.random:,} random observations and {report.recorded} of the checkpoint")
    print(f"differences   {differences}; the largest: {max(report.differences.values()):.1e}")
    print(f"\n{report.usage}", end="")


if __name__ == "__main__":
    cli.run(main)
