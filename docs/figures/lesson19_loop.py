"""Draw the picture of lesson 19, the episodes in a rollout: `python docs/figures/lesson19_loop.py`.

It writes docs/course/images/lesson19_loop.png and prints the table of the page.
"""

from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson19_loop.png"
STEPS = 6
# Of each environment: (first step, number of steps, how it ends) of each episode.
EPISODES = [
    [(0, 3, "terminated"), (3, 3, "goes on")],
    [(0, 2, "truncated"), (2, 4, "terminated")],
    [(0, 5, "truncated"), (5, 1, "goes on")],
]
NEXT = {"terminated": "0", "truncated": "final_values[{t}, {n}]", "goes on": "values[{after}, {n}]"}
MARKERS = {"terminated": "X", "truncated": "|", "goes on": ">"}
HEAD = ["environment", "steps of the episode", "its end", "value of the successor of its last step"]


def numbers() -> list[list[str]]:
    """Rows of the table."""
    rows = []
    for n, episodes in enumerate(EPISODES):
        for start, length, end in episodes:
            t = start + length - 1
            rows.append([str(n), f"{start} to {t}", end, NEXT[end].format(t=t, n=n, after=t + 1)])
    return rows


def draw() -> None:
    """Write the image."""
    figure, axes = plt.subplots(figsize=(5.2, 3), layout="constrained")
    for n, episodes in enumerate(EPISODES):
        for number, (start, length, end) in enumerate(episodes):
            hatch = "//" if number % 2 else ""
            axes.barh(-n, length - 0.12, 0.34, start, facecolor="white", edgecolor="#0072b2", hatch=hatch)
            axes.plot(start + length - 0.06, -n, MARKERS[end], color="#d55e00", markersize=13, markeredgewidth=2)
            value = NEXT[end].format(t=start + length - 1, n=n, after=start + length)
            place = (STEPS + 0.25, -n - 0.05) if end == "goes on" else (start + length, -n - 0.38)
            axes.text(*place, value, ha="left" if end == "goes on" else "center", fontsize=7)
    for end, marker in MARKERS.items():
        axes.plot([], [], marker, color="#d55e00", markersize=9, markeredgewidth=2, label=end, linestyle="none")
    axes.axvline(STEPS, color="#000000", linestyle=":")
    axes.set(xlim=(-0.1, 7.4), ylim=(-2.6, 1), xlabel="step (dotted line: the rollout ends)")
    axes.set_xticks(range(STEPS + 1))
    axes.set_yticks([0, -1, -2], ["environment 0", "environment 1", "environment 2"])
    axes.legend(loc="upper center", ncols=3, fontsize=8)
    IMAGE.parent.mkdir(exist_ok=True)
    figure.savefig(IMAGE, dpi=120)
    Image.open(IMAGE).quantize(48).save(IMAGE, optimize=True)  # a small file


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
