"""Draw the picture of lesson 14, how a Gaussian must change for an action: `python docs/figures/lesson14_gaussian.py`.

It writes docs/course/images/lesson14_gaussian.png and prints the table of the page.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from kernels.gaussian import gaussian_backward, gaussian_forward

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson14_gaussian.png"
ACTIONS = (-2.0, -0.5, 0.0, 1.0, 2.0)
HEAD = ["action x", "zeta", "log pi", "slope with respect to mu", "slope with respect to log sigma"]


def log_density(x: np.ndarray, mean: float, std: float) -> np.ndarray:
    """log pi of each action."""
    logprobs, entropies = np.empty((2, len(x)))
    gaussian_forward(np.full((len(x), 1), mean), np.log([std]), x.reshape(-1, 1), logprobs, entropies)
    return logprobs


def slopes(x: float) -> tuple[float, float]:
    """Derivative of log pi with respect to mu and to log sigma, at mu = 0 and sigma = 1."""
    dmeans, dlog_std = np.empty((1, 1)), np.empty(1)
    gaussian_backward(np.ones(1), np.zeros(1), np.zeros((1, 1)), np.zeros(1), np.array([[x]]), dmeans, dlog_std)
    return dmeans[0, 0], dlog_std[0]


def numbers() -> list[list[str]]:
    """Rows of the table."""
    rows = []
    for x in ACTIONS:
        values = x, x, log_density(np.array([x]), 0.0, 1.0)[0], *slopes(x)
        rows.append([f"{values[0]:g}", f"{values[1]:g}", f"{values[2]:.3f}", f"{values[3]:g}", f"{values[4]:g}"])
    return rows


def draw() -> None:
    """Write the image."""
    x = np.linspace(-4, 4, 401)
    figure, panels = plt.subplots(2, 1, figsize=(5, 5.2), layout="constrained", sharex=True)
    for axes, action in zip(panels, (2.0, -0.5), strict=True):
        mean, log_std = (0.3 * slope for slope in slopes(action))
        for label, style, colour, place in (
            ("mu = 0, sigma = 1", "-", "#0072b2", (0.0, 1.0)), ("only mu moved", ":", "#000000", (mean, 1.0)),
            ("mu and log sigma moved", "--", "#d55e00", (mean, np.exp(log_std))),
        ):  # fmt: skip
            density = np.exp(log_density(x, *place))
            axes.plot(x, density, style, color=colour, label=label)
        before, after = np.exp([log_density(np.array([action]), *place)[0] for place in ((0.0, 1.0), place)])
        axes.annotate("", (action, after), (action, before), arrowprops={"arrowstyle": "->", "linewidth": 2})
        axes.plot(action, 0, "kx", clip_on=False)
        title = f"action {action:g}: mu moves by {mean:+.2g}, log sigma by {log_std:+.2g}"
        axes.set(title=title, ylim=(0, 0.62), ylabel="density")
        axes.legend(loc="upper left" if action > 0 else "upper right", fontsize=8)
    panels[1].set(xlabel="x (cross: the action)")
    IMAGE.parent.mkdir(exist_ok=True)
    figure.savefig(IMAGE, dpi=120)
    Image.open(IMAGE).quantize(48).save(IMAGE, optimize=True)  # a small file


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
