"""The gradient's way through a small network with a shared trunk: of policy loss and value loss, added at the fork."""

from functools import cache

import numpy as np

from docs.figures.calls import categorical, dlogits, loss_and_slopes
from docs.figures.style import BLACK, BLUE, GREEN, ORANGE, new, number
from kernels.activation import TANH
from kernels.initializer import orthogonal
from kernels.linear import linear_backward_input
from kernels.mlp import mlp_backward, mlp_forward

ROWS, INPUTS, UNITS, ACTIONS = 32, 4, 8, 3


def tower(rng: np.random.Generator, inputs: int, outputs: int):
    """A tower of one layer: weights and biases as the kernels take them."""
    weight = np.zeros((inputs, outputs))
    orthogonal(rng.standard_normal((max(weight.shape), min(weight.shape))), 1.0, weight)
    return (weight,), (np.zeros(outputs),)


@cache
def flow() -> dict[str, np.ndarray]:
    """Gradients at the fork and in the trunk's weights: through the policy, through the value, and with both."""
    rng = np.random.default_rng(3)
    obs = rng.standard_normal((ROWS, INPUTS))
    shared, policy, value = (tower(rng, *sizes) for sizes in ((INPUTS, UNITS), (UNITS, ACTIONS), (UNITS, 1)))
    h, logits, values = np.zeros((ROWS, UNITS)), np.zeros((ROWS, ACTIONS)), np.zeros((ROWS, 1))
    mlp_forward(obs, *shared, TANH, True, (h,))
    mlp_forward(h, *policy, TANH, False, (logits,))
    mlp_forward(h, *value, TANH, False, (values,))
    actions = rng.integers(0, ACTIONS, ROWS)
    logprobs = categorical(logits, actions)[1]
    advantages, returns = rng.standard_normal((2, ROWS))
    slopes = loss_and_slopes(
        logprobs, values[:, 0], logprobs, values[:, 0], advantages, returns, vf_coef=0.5, clip_vloss=False
    )
    through_policy, through_value = np.zeros((2, ROWS, UNITS))
    linear_backward_input(dlogits(logits, actions, slopes[2], np.zeros(ROWS)), policy[0][0], through_policy)
    linear_backward_input(slopes[3][:, np.newaxis].copy(), value[0][0], through_value)
    found = {"policy": through_policy, "value": through_value, "both": through_policy + through_value}
    return found | {f"{name} trunk": _trunk(dh, obs, h, shared) for name, dh in found.items()}


def _trunk(dh, obs, h, shared):
    dweight, dbias = np.zeros_like(shared[0][0]), np.zeros_like(shared[1][0])
    mlp_backward((dh.copy(),), obs, (h,), shared[0], TANH, True, (dweight,), (dbias,))
    return dweight


def norm(name: str) -> str:
    """Euclidean norm of one of the gradients, as text."""
    return number(float(np.linalg.norm(flow()[name])), 4)


def table() -> list[list[str]]:
    """Norms at the fork and in the trunk."""
    lines = [["which loss", "norm of the gradient at the fork", "norm of the trunk's dW"]]
    names = {"policy": "policy loss", "value": "value loss", "both": "both: the two gradients added"}
    return [*lines, *([text, norm(name), norm(f"{name} trunk")] for name, text in names.items())]


def draw():
    """Boxes for the parts, arrows in the direction of the backward pass."""
    figure, (ax,) = new(height=3.0)
    boxes = {
        "observation": (0.07, 0.5), "trunk": (0.31, 0.5), "policy head": (0.68, 0.8), "value head": (0.68, 0.2),
        "policy loss": (0.93, 0.8), "value loss": (0.93, 0.2),
    }  # fmt: skip
    for name, place in boxes.items():
        ax.text(*place, name, ha="center", va="center", bbox={"boxstyle": "round,pad=0.5", "fc": "white", "ec": BLACK})
    arrow(ax, (0.87, 0.8), (0.76, 0.8), BLUE, "-", "dlogits", (0.815, 0.85))
    arrow(ax, (0.87, 0.2), (0.76, 0.2), ORANGE, "--", "dvalues", (0.815, 0.09))
    arrow(ax, (0.61, 0.78), (0.475, 0.55), BLUE, "-", f"norm {norm('policy')}", (0.5, 0.75))
    arrow(ax, (0.61, 0.22), (0.475, 0.45), ORANGE, "--", f"norm {norm('value')}", (0.5, 0.22))
    arrow(ax, (0.435, 0.5), (0.36, 0.5), GREEN, "-", f"sum: {norm('both')}", (0.40, 0.62))
    ax.text(0.46, 0.5, "+", ha="center", va="center", bbox={"boxstyle": "circle,pad=0.2", "fc": "white", "ec": BLACK})
    ax.text(0.31, 0.3, f"dW: norm {norm('both trunk')}", ha="center")
    ax.text(0.07, 0.3, "no gradient\nneeded", ha="center", va="center", fontsize=8)
    ax.set_title("backward pass: at the fork the gradients of the two heads are added")
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.axis("off")
    return figure


def arrow(ax, start, end, colour, dashes, text, place):
    """An arrow with a text beside it."""
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "linestyle": dashes, "linewidth": 2})
    ax.text(*place, text, ha="center", va="center", fontsize=8)
