"""Draws the learning curves of lesson 20: CartPole with right functions, and with one mistake at a time.

python docs/figures/lesson20_fly.py      writes docs/course/images/lesson20_curves.png and prints the table of the page
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from ppo_np.checking.planted_bugs import planted
from ppo_np.course.training.installed import installed
from ppo_np.course.training.kernel_functions import KERNEL_FUNCTIONS
from ppo_np.course.training.product_run import settings
from ppo_np.learning.ppo import PPO

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson20_curves.png"
CONFIG = settings("cartpole", None)
GAE = KERNEL_FUNCTIONS["gae"]


def never_done(rewards, values, final_values, terminations, truncations, *constants):
    """Advantages as if no episode ever ended."""
    return GAE(rewards, values, final_values, 0 * terminations > 0, 0 * truncations > 0, *constants)


def truncated_is_terminated(rewards, values, final_values, terminations, truncations, *constants):
    """Advantages as if the time limit were a fall."""
    return GAE(rewards, values, final_values, terminations | truncations, truncations, *constants)


@contextmanager
def nothing() -> Iterator[None]:
    """No mistake."""
    yield


# The name of the curve, its line, and a context with the mistake.
CURVES = {
    "right": ("k-", nothing),
    "tanh: 1 - h for 1 - h^2": ("C0-", lambda: planted("tanh-derivative", CONFIG)),
    "W for its transpose": ("C1--", lambda: planted("weight-not-transposed", CONFIG)),
    "log-softmax without - p": ("C2-.", lambda: planted("no-softmax-term", CONFIG)),
    "old and new log-prob swapped": ("C3:", lambda: planted("swapped-logprobs", CONFIG)),
    "truncated taken for terminated": ("C4-", lambda: installed({"gae": truncated_is_terminated})),
    "episodes never end in GAE": ("C5--", lambda: installed({"gae": never_done})),
}


def train() -> np.ndarray:
    """Steps and mean return of the last 100 episodes after each update, (2, updates)."""
    points = []

    def note(ppo, metrics):
        points.append((metrics.step, np.mean([episode.episodic_return for episode in ppo.recent_episodes])))

    with closing(PPO(CONFIG)) as ppo:
        ppo.learn(note)
    return np.array(points).T


def main() -> None:
    """Train once for each curve, draw them, and print a table."""
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    print("| functions | at 25,000 steps | at 50,000 | at 100,000 |\n|---|---|---|---|")
    for name, (line, context) in CURVES.items():
        with context():
            steps, returns = train()
        axes.plot(steps, returns, line, label=name, linewidth=2.5 if name == "right" else 1.5)
        row = [f"{returns[np.searchsorted(steps, step)]:.0f}" for step in (25_000, 50_000, 100_000)]
        print(f"| {name} | {' | '.join(row)} |", flush=True)
    axes.set_xlabel("environment steps")
    axes.set_ylabel("mean return of the last 100 episodes")
    axes.set_title("CartPole, seed 1: one mistake at a time")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    IMAGE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(IMAGE, dpi=120)


if __name__ == "__main__":
    main()
