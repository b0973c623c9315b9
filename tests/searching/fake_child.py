"""Stands for ppo_np.searching.child: a run that takes no time, and behaves as the variable FAKE says.

FAKE is a JSON object: the end of a folder's name, and what a run there does. "fails": always; "fails once": unless it
goes on; "interrupts": unless it goes on, it sends SIGINT to its parent and waits to be stopped. The last 100 episodes
have a mean return of seed, greedy episodes of 100 * learning rate + seed.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

folder, episodes, *arguments = sys.argv[1:]
folder = Path(folder)
resumed = arguments[0] == "--resume"
folder.mkdir(exist_ok=True)
if not resumed:
    (folder / "config.json").write_text(json.dumps(arguments))
with open(folder.parent / f"{folder.name}.calls", "a") as calls:
    print("goes on" if resumed else "begins", file=calls)
arguments = json.loads((folder / "config.json").read_text())
seed = int(arguments[arguments.index("--seed") + 1])
rate = float(arguments[len(arguments) - 1 - arguments[::-1].index("--learning-rate") + 1])
does = [what for end, what in json.loads(os.environ["FAKE"]).items() if str(folder).endswith(end)]
if does == ["fails"] or (does == ["fails once"] and not resumed):
    print("error: the environment is gone.")
    sys.exit(1)
if does == ["interrupts"] and not resumed:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(60)
result = {
    "steps": 1000, "wall_time": 2.0, "training_return": float(seed), "training_episodes": 100,
    "greedy_return": 100 * rate + seed if int(episodes) else None, "greedy_episodes": int(episodes),
}  # fmt: skip
(folder / "result.json").write_text(json.dumps(result))
