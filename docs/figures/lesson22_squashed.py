"""Densities before and after tanh: `python docs/figures/lesson22_squashed.py` draws them and prints the table."""

from pathlib import Path

import numpy as np

from kernels.squashed import squashed_forward

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson22_squashed.png"
HEAD = [
    "$u$",
    "$\\tanh u$",
    "log(1 - tanh(u)**2) in float64",
    "with softplus",
    "density of $u$",
    "density of $\\tanh u$",
]
U = (0.0, 0.5, 1.0, 2.0, 10.0, 20.0)
STDS = (0.5, 1.0, 2.0)


def gaussian_density(u, std):
    """Density of u with mean 0."""
    return np.exp(-((u / std) ** 2) / 2) / (std * np.sqrt(2 * np.pi))


def squashed_density(u, std):
    """Density of tanh(u) in the Box [-1, 1] from the kernel, for a Gaussian u with mean 0."""
    actions = np.stack([u, np.zeros_like(u)], axis=1)
    zeros = np.zeros((len(u), 1))
    logprobs, entropies = np.empty((2, len(u)))
    squashed_forward(zeros, zeros + np.log(std), actions, np.log([2.0]), logprobs, entropies)
    return np.exp(logprobs)


def numbers():
    """Rows of the table; the densities are those for a standard deviation of 2."""
    u = np.array(U)
    with np.errstate(divide="ignore"):
        naive = np.log(1 - np.tanh(u) ** 2)
    stable = 2 * (np.log(2) - u - np.logaddexp(0, -2 * u))
    columns = u, np.tanh(u), naive, stable, gaussian_density(u, 2.0), squashed_density(u, 2.0)
    formats = "g", ".9f", ".4f", ".4f", ".3g", ".3g"
    return [
        [f"{number + 0.0:{form}}" for number, form in zip(row, formats, strict=True)]
        for row in zip(*columns, strict=True)
    ]


def draw():
    """Left: three Gaussian densities of u. Right: the densities of tanh(u)."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
    u = np.linspace(-4, 4, 801)
    for std, color, line in zip(STDS, ("#0072b2", "#d55e00", "#009e73"), ("-", "--", ":"), strict=True):
        style = {"color": color, "linestyle": line, "label": f"$\\sigma = {std:g}$"}
        panels[0].plot(u, gaussian_density(u, std), **style)
        panels[1].plot(np.tanh(u), squashed_density(u, std), **style)
    panels[0].set(xlabel="$u$", title="density of $u$", ylim=(0, None))
    panels[1].set(xlabel="$\\tanh u$", title="density of $\\tanh u$", xlim=(-1.05, 1.05), ylim=(0, 1.7))
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False)
    figure.savefig(IMAGE, dpi=90)


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
