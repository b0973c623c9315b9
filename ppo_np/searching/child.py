"""One run of a sweep or a search, in a process of its own: `python -m ppo_np.searching.child FOLDER EPISODES ...`.

The other arguments are those of `python -m ppo_np.train`, which is done first. Then greedy episodes follow, and the
result is written into the run folder. The process that started this one holds the other end of standard input. If that
process is killed, standard input ends, and this process stops as after SIGTERM: the run is saved.
"""

import os
import runpy
import signal
import sys
import threading
from pathlib import Path

from ppo_np.running import cli
from ppo_np.searching.result import write_result


def end_with_parent() -> None:
    """Send SIGTERM to this process when standard input ends."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="ppo_np-parent", daemon=True).start()


def main() -> int:
    """Train, evaluate, write the result, and return the exit code of the first of these that failed."""
    folder, episodes, *arguments = sys.argv[1:]
    end_with_parent()
    sys.argv = ["ppo_np.train", *arguments]
    try:
        runpy.run_module("ppo_np.train", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise
    write_result(Path(folder), int(episodes))
    return cli.DONE


if __name__ == "__main__":
    cli.run(main)
