"""Draw the picture of lesson 3, which entries of y one entry touches: `python docs/figures/lesson03_linear.py`.

It writes docs/course/images/lesson03_linear.png and prints the table of the page.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from PIL import Image

from kernels.linear import linear_forward

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson03_linear.png"
X = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
WEIGHT = np.array([[10.0, 40.0], [20.0, 50.0], [30.0, 60.0]])
BIAS = np.array([7.0, 8.0])
ENTRIES = [("x", (0, 1)), ("W", (1, 0)), ("b", (0,))]
HEAD = ["entry that rises by 1", "entries of y that change", "by how much", "which is"]
FACTORS = {"x": "W[1, o]", "W": "x[b, 1]", "b": "1"}


def change(name: str, place: tuple[int, ...]) -> np.ndarray:
    """How y changes if one entry rises by 1."""
    given = {"x": X.copy(), "W": WEIGHT.copy(), "b": BIAS.copy()}
    before, after = np.empty((2, 2)), np.empty((2, 2))
    linear_forward(given["x"], given["W"], given["b"], before)
    given[name][place] += 1
    linear_forward(given["x"], given["W"], given["b"], after)
    return after - before


def numbers() -> list[list[str]]:
    """Rows of the table."""
    rows = []
    for name, place in ENTRIES:
        difference = change(name, place)
        touched = [(int(b), int(o)) for b, o in np.argwhere(difference)]
        where = ", ".join(f"y[{b}, {o}]" for b, o in touched)
        how_much = ", ".join(f"{difference[at]:g}" for at in touched)
        rows.append([f"{name}[{', '.join(map(str, place))}]", where, how_much, FACTORS[name]])
    return rows


def grid(axes, title: str, left: float, values: np.ndarray, marked: np.ndarray, edge: str) -> None:
    """A matrix as cells with its numbers; marked cells are hatched and have a thick edge."""
    for (row, column), value in np.ndenumerate(values):
        options = (
            {"hatch": "///", "edgecolor": edge, "linewidth": 2} if marked[row, column] else {"edgecolor": "#999999"}
        )
        axes.add_patch(Rectangle((left + column, -row - 1), 1, 1, facecolor="white", **options))
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.text(left + column + 0.5, -row - 0.5, f"{value:g}", ha="center", va="center", fontsize=9, bbox=box)
    axes.text(left + values.shape[1] / 2, 0.25, title, ha="center", fontsize=9)


def draw() -> None:
    """Write the image."""
    figure, panels = plt.subplots(3, 1, figsize=(5, 6), layout="constrained")
    for axes, (name, place) in zip(panels, ENTRIES, strict=True):
        left = 0.0
        for title, values in (("x", X), ("W", WEIGHT), ("b", BIAS[np.newaxis])):
            marked = np.zeros(values.shape, bool)
            if title == name:
                marked[place if len(place) == 2 else (0, *place)] = True
            grid(axes, title, left, values, marked, "#d55e00")
            left += values.shape[1] + 0.7
        difference = change(name, place)
        axes.annotate("", (left + 0.9, -1), (left - 0.3, -1), arrowprops={"arrowstyle": "->"})
        grid(axes, "change of y", left + 1.3, difference, difference != 0, "#0072b2")
        axes.set(xlim=(-0.2, 13), ylim=(-3.2, 1.2), aspect="equal")
        entry = f"{name}[{', '.join(map(str, place))}]"
        axes.set_title(f"{entry} rises by 1", fontsize=10, loc="left")
        axes.axis("off")
    IMAGE.parent.mkdir(exist_ok=True)
    figure.savefig(IMAGE, dpi=120)
    Image.open(IMAGE).convert("RGB").quantize(48).save(IMAGE, optimize=True)  # a small file


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
