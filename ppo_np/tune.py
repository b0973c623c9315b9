"""Search for settings with Optuna: `python -m ppo_np.tune --env-id ID --time 10m` (extra `tune`)."""

import sys
from collections.abc import Sequence

from ppo_np.running import cli
from ppo_np.running.signals import StopSignals
from ppo_np.searching.tune import TuneOptions, tune

__all__ = ["TuneOptions", "main"]  # the options are for the completion of flags


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, search, print the best settings, and return the exit code."""
    with StopSignals() as signals:
        return tune(sys.argv[1:] if arguments is None else arguments, signals)


if __name__ == "__main__":
    cli.run(main)
