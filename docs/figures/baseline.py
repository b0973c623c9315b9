"""The policy gradient of one sample with several baselines: the same mean, another spread. By exact enumeration."""

import numpy as np

from docs.figures.calls import categorical, dlogits
from docs.figures.style import BLACK, BLUE, GREY, ORANGE, new, number

LOGITS = np.log([[0.5, 0.3, 0.2]])
RETURNS = np.array([10.0, 12.0, 11.0])


def mean_and_spread(baseline: float) -> tuple[np.ndarray, float]:
    """Mean over the actions of the gradient with respect to the logits (3,), and its standard deviation.

    The standard deviation is the root of the summed variances of the three components.
    """
    logits, actions = np.repeat(LOGITS, 3, axis=0), np.arange(3)
    probabilities = np.exp(categorical(logits, actions)[1])
    gradients = dlogits(logits, actions, -(RETURNS - baseline), np.zeros(3))
    mean = probabilities @ gradients
    return mean, float(np.sqrt((probabilities @ (gradients - mean) ** 2).sum()))


def value() -> float:
    """The expected return, which is the usual baseline."""
    return float(np.exp(LOGITS[0]) @ RETURNS)


def table() -> list[list[str]]:
    """Mean gradient and spread with some baselines."""
    lines = [["baseline", "mean gradient by each logit", "standard deviation of one sample"]]
    for baseline, name in [(0.0, ""), (5.0, ""), (value(), " (the value)"), (15.0, ""), (22.0, "")]:
        mean, spread = mean_and_spread(baseline)
        lines.append([f"{number(baseline, 1)}{name}", ", ".join(map(number, mean)), number(spread)])
    return lines


def draw():
    """Left: the spread against the baseline. Right: the mean, which does not move."""
    figure, (left, right) = new(2)
    baselines = np.linspace(0, 22, 89)
    means, spreads = zip(*map(mean_and_spread, baselines), strict=True)
    left.plot(baselines, spreads, color=BLUE, linewidth=2)
    left.axvline(value(), color=GREY, linestyle=":", linewidth=1)
    left.text(value() - 0.3, 3.5, "baseline = value", rotation=90, ha="right", color=BLACK)
    left.set_title("standard deviation of the gradient of one sample")
    for action, (colour, dashes) in enumerate(zip((BLUE, ORANGE, BLACK), ("-", "--", "-."), strict=True)):
        right.plot(baselines, np.array(means)[:, action], color=colour, linestyle=dashes, label=f"logit {action}")
    right.set_title("its mean")
    right.legend(frameon=False, loc=(0.7, 0.55))
    for ax in (left, right):
        ax.set_xlabel("baseline")
    left.set_ylim(0, None)
    return figure
