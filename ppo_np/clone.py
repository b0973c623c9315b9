"""Behaviour cloning: `python -m ppo_np.clone DATASET --env-id ID` trains the network to act as a dataset does."""

import sys
from collections.abc import Sequence
from functools import partial

from ppo_np.running import cli
from ppo_np.running.options import CloneOptions
from ppo_np.running.output import make_console
from ppo_np.running.signals import StopSignals

PROGRAM = "python -m ppo_np.clone"
STOPPING = b"\nstopping after the present epoch; a second signal ends the process at once\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, clone, and return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = cli.parse_with_preset(CloneOptions, arguments, PROGRAM)
    # Gymnasium and Numba take a second to import. Imported here, they do not delay --help and error messages.
    from ppo_np.running.cloning import clone

    with StopSignals() as signals:
        signals.message = STOPPING
        return clone(options, signals, partial(make_console().print, soft_wrap=True))


if __name__ == "__main__":
    cli.run(main)
