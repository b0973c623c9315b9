"""Table of finished training runs, in Markdown: `python bench/results.py RUN [RUN ...]`.

For each run folder: steps, training time, the mean return of the last 100 training episodes (over the rows of
metrics.csv that hold them), and the greedy policy's returns over 100 episodes with the unseen seeds 10,000 to 10,099.
"""

import json
import sys
from pathlib import Path

from ppo_np.layout import CHECKPOINT, CONFIG
from ppo_np.playback import evaluate
from ppo_np.plot import read_curve

COLUMNS = (
    "seed",
    "steps",
    "training time",
    "last 100 training episodes",
    "greedy mean",
    "std",
    "min",
    "max",
    "success",
)


def row(run: Path) -> tuple[object, ...]:
    """The cells of one run, in the order of COLUMNS."""
    config = json.loads((run / CONFIG).read_text())["config"]
    steps, returns = read_curve(run, "step", "episodic_return", window=100)
    seconds = read_curve(run, "wall_time", "episodic_return", window=100)[0]
    report = evaluate(run / CHECKPOINT, episodes=100, seed=10_000)
    greedy = (f"{report[key]:.1f}" for key in ("mean_return", "std_return", "min_return", "max_return"))
    success = f"{report['success_rate']:.0%}"
    return config["seed"], f"{steps[-1]:,.0f}", f"{seconds[-1] / 60:.1f} min", f"{returns[-1]:.1f}", *greedy, success


def main(runs: list[str]) -> None:
    """Print the table."""
    print(f"| {' | '.join(COLUMNS)} |")
    print("|---" * len(COLUMNS) + "|")
    for run in runs:
        print(f"| {' | '.join(str(cell) for cell in row(Path(run)))} |")


if __name__ == "__main__":
    main(sys.argv[1:])
