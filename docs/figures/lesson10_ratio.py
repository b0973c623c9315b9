"""Three estimates of the KL divergence, term by term: `python docs/figures/lesson10_ratio.py` draws them."""

from pathlib import Path

import numpy as np

from kernels.loss import LOSS_TERMS, ppo_loss_forward

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson10_ratio.png"
HEAD = ["$\\rho$", "$k_1 = -\\log\\rho$", "$k_2 = (\\log\\rho)^2/2$", "$k_3 = \\rho - 1 - \\log\\rho$"]
SHOWN = (0.5, 0.8, 1.0, 1.25, 2.0)


def k3(log_ratio):
    """rho - 1 - log rho of one row, from the kernel of the loss."""
    terms, zero = np.empty(len(LOSS_TERMS)), np.zeros(1)
    ppo_loss_forward(
        np.array([log_ratio]), zero, zero, zero, zero, zero, zero, 0.2, 0.0, 0.0, False, 0.2, terms
    )  # fmt: skip
    return terms[LOSS_TERMS.index("approx_kl")]


def numbers():
    """Rows of the table."""
    rows = []
    for rho in SHOWN:
        log = np.log(rho)
        rows.append([f"{rho:.2f}", f"{0.0 - log:.3f}", f"{log**2 / 2:.3f}", f"{k3(log):.3f}"])
    return rows


def draw():
    """The three terms against rho."""
    import matplotlib.pyplot as plt

    ratios = np.linspace(0.3, 2.5, 111)
    logs = np.log(ratios)
    figure, axes = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
    axes.axhline(0, color="0.7", linewidth=1)
    axes.axvline(1, color="0.7", linewidth=1)
    axes.plot(ratios, -logs, ":", label="$k_1 = -\\log\\rho$", linewidth=2)
    axes.plot(ratios, logs**2 / 2, "--", label="$k_2 = (\\log\\rho)^2/2$")
    axes.plot(ratios, [k3(log) for log in logs], "-", label="$k_3 = \\rho - 1 - \\log\\rho$", color="black")
    axes.set(xlabel="ratio $\\rho$", ylabel="term of one row")
    axes.legend()
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(IMAGE, dpi=90)


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
