"""Compare settings over several seeds: `python -m ppo_np.sweep --env-id ID --learning-rate 1e-3 3e-4`."""

import sys
from collections.abc import Sequence

from ppo_np.running import cli
from ppo_np.running.signals import StopSignals
from ppo_np.searching.sweep import SweepOptions, sweep

__all__ = ["SweepOptions", "main"]  # the options are for the completion of flags


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, do the runs, print the table, and return the exit code."""
    with StopSignals() as signals:
        return sweep(sys.argv[1:] if arguments is None else arguments, signals)


if __name__ == "__main__":
    cli.run(main)
