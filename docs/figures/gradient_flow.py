"""The gradient through the fork: what comes back from the policy head, from the value head, and their sum."""

import numpy as np

from docs.figures import style
from docs.figures.kernel_calls import CLIP, categorical, logits_gradient
from kernels.activation import TANH
from kernels.linear import linear_backward_input, linear_forward
from kernels.loss import ppo_loss_backward
from kernels.mlp import mlp_backward, mlp_forward

ROWS, INPUTS, WIDTH, CHOICES = 8, 4, 16, 3
ENT_COEF, VF_COEF = 0.01, 0.5
HEAD = ("quantity", "shape", "Euclidean norm")


def flow() -> dict[str, np.ndarray]:
    """Gradients of a minibatch of a small network: at the heads, at the fork along each path, and of the trunk's W."""
    rng = np.random.default_rng(3)
    obs, trunk = rng.standard_normal((ROWS, INPUTS)), rng.standard_normal((INPUTS, WIDTH)) / 2
    policy, value = rng.standard_normal((WIDTH, CHOICES)) / 4, rng.standard_normal((WIDTH, 1)) / 4
    features, logits, values = np.empty((ROWS, WIDTH)), np.empty((ROWS, CHOICES)), np.empty((ROWS, 1))
    mlp_forward(obs, (trunk,), (np.zeros(WIDTH),), TANH, True, (features,))
    linear_forward(features, policy, np.zeros(CHOICES), logits)
    linear_forward(features, value, np.zeros(1), values)
    actions = rng.integers(0, CHOICES, ROWS)
    logprobs, old_values = categorical(logits, actions)[1], values[:, 0] - 0.05
    advantages, returns = rng.standard_normal(ROWS), values[:, 0] + rng.standard_normal(ROWS)
    dlogprobs, dentropies, dvalues = np.empty((3, ROWS))
    ppo_loss_backward(
        1.0, logprobs, values[:, 0].copy(), logprobs - 0.1, old_values, advantages, returns,
        CLIP, ENT_COEF, VF_COEF, True, CLIP, dlogprobs, dentropies, dvalues,
    )  # fmt: skip
    dlogits = logits_gradient(logits, actions, dlogprobs, dentropies)
    by_policy, by_value = np.empty((2, ROWS, WIDTH))
    linear_backward_input(dlogits, policy, by_policy)
    linear_backward_input(dvalues[:, np.newaxis].copy(), value, by_value)
    total, dweight = by_policy + by_value, np.empty_like(trunk)
    mlp_backward((total.copy(),), obs, (features,), (trunk,), TANH, True, (dweight,), (np.empty(WIDTH),))
    return {"dlogits": dlogits, "dV": dvalues, "dh policy": by_policy, "dh value": by_value, "dh": total, "dW": dweight}


NAMES = {
    "dlogits": "gradient of the logits",
    "dV": "gradient of the values",
    "dh policy": "at the fork, through the policy head",
    "dh value": "at the fork, through the value head",
    "dh": "at the fork, the sum",
    "dW": "gradient of the trunk's W",
}


def numbers() -> list[tuple]:
    """Rows of the table."""
    parts = flow()
    shapes = {key: " x ".join(map(str, array.shape)) for key, array in parts.items()}
    return [(name, shapes[key], float(np.linalg.norm(parts[key]))) for key, name in NAMES.items()]


PLACES = {
    "x": (0.0, 0.5, "obs"),
    "h": (0.32, 0.5, "trunk\nh = tanh(x W)"),
    "policy": (0.68, 0.85, "policy head\nlogits"),
    "value": (0.68, 0.15, "value head\nV"),
    "loss": (1.0, 0.5, "loss"),
}
ARROWS = (
    ("loss", "policy", "dlogits", (0.96, 0.72)),
    ("loss", "value", "dV", (0.96, 0.24)),
    ("policy", "h", "dh policy", (0.36, 0.78)),
    ("value", "h", "dh value", (0.36, 0.18)),
)


def draw():
    """The figure."""
    figure, (ax,) = style.new(height=3.4)
    norms = {key: np.linalg.norm(array) for key, array in flow().items()}
    for x, y, text in PLACES.values():
        ax.text(x, y, text, ha="center", va="center", fontsize=10, bbox={"boxstyle": "round", "facecolor": "white"})
    for start, end, key, place in ARROWS:
        (x0, y0), (x1, y1) = PLACES[start][:2], PLACES[end][:2]
        arrow = {
            "arrowstyle": "->",
            "linewidth": 0.8 + 3 * norms[key],
            "shrinkA": 20,
            "shrinkB": 34,
            "color": "#0072b2",
        }
        ax.annotate("", (x1, y1), (x0, y0), arrowprops=arrow)
        ax.text(*place, f"|{key}|\n{norms[key]:.3f}", ha="center", va="center", fontsize=9)
    ax.text(0.08, 0.68, f"|dh|, the sum\n{norms['dh']:.3f}", ha="center", va="center", fontsize=9)
    ax.text(0.08, 0.32, f"|dW|\n{norms['dW']:.3f}", ha="center", va="center", fontsize=9)
    arrow = {"arrowstyle": "->", "linewidth": 0.8, "linestyle": "--", "shrinkA": 16, "shrinkB": 46, "color": "#666666"}
    ax.annotate("", PLACES["h"][:2], PLACES["x"][:2], arrowprops=arrow)
    ax.set(xlim=(-0.08, 1.08), ylim=(0, 1))
    ax.axis("off")
    return figure
