"""Mean and spread of the policy gradient against the baseline: `python docs/figures/lesson08_policy_gradient.py`."""

from pathlib import Path

import numpy as np

from kernels.categorical import categorical_backward, categorical_forward

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson08_policy_gradient.png"
HEAD = ["$c$", "mean", "standard deviation"]
PROBS = np.array([0.5, 0.3, 0.2])
RETURNS = np.array([12.0, 9.0, 7.0])
SHOWN = (0.0, 5.0, 10.0, 15.0)


def mean_and_std(baseline):
    """Of the estimate of dJ/dl_0 from one decision: (G_a - c) (1[a = 0] - p_0), over all actions exactly."""
    actions, rows = np.arange(len(PROBS)), len(PROBS)
    log_probs, dlogits = np.empty((2, rows, rows))
    logprobs, entropies = np.empty((2, rows))
    categorical_forward(np.tile(np.log(PROBS), (rows, 1)), actions, log_probs, logprobs, entropies)
    categorical_backward(RETURNS - baseline, np.zeros(rows), actions, log_probs, entropies, dlogits)
    estimates = dlogits[:, 0]
    mean = PROBS @ estimates
    return mean, np.sqrt(PROBS @ (estimates - mean) ** 2)


def numbers():
    """Rows of the table."""
    return [[f"{c:.0f}", *(f"{number:.3f}" for number in mean_and_std(c))] for c in SHOWN]


def draw():
    """The mean as a line, the standard deviation around it as a band, against the baseline."""
    import matplotlib.pyplot as plt

    baselines = np.linspace(0, 20, 81)
    means, stds = np.array([mean_and_std(c) for c in baselines]).T
    figure, axes = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
    axes.fill_between(baselines, means - stds, means + stds, color="0.85", label="mean ± standard deviation")
    axes.plot(baselines, means, color="black", label="mean: the derivative of J")
    axes.axvline(PROBS @ RETURNS, color="tab:blue", linestyle="--", label="c = V, the expected return")
    axes.set(xlabel="baseline c", ylabel="estimate of $dJ/d\\ell_0$", xlim=(0, 20))
    axes.legend(loc="upper center", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(IMAGE, dpi=90)


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
