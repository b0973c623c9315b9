"""Draw the picture of lesson 4, the size of the gradient layer by layer: `python docs/figures/lesson04_mlp.py`.

It writes docs/course/images/lesson04_mlp.png and prints the table of the page.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from kernels.activation import activation_number
from kernels.mlp import mlp_backward, mlp_forward

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson04_mlp.png"
ROWS, WIDTH, DEPTH = 64, 64, 20
CASES = [("ReLU, scale 1", "relu", 1.0), ("ReLU, scale 1.41", "relu", np.sqrt(2)), ("ReLU, scale 2", "relu", 2.0),
         ("tanh, scale 1", "tanh", 1.0)]  # fmt: skip
LAYERS = (20, 15, 10, 5, 1)
HEAD = ["layer", *(name for name, _, _ in CASES)]


def norms(activation: str, scale: float) -> np.ndarray:
    """The norm of dz_l of each layer, divided by that of the last layer.

    The weights are normal numbers times scale / sqrt(inputs), the biases 0, the input and dy normal numbers.
    """
    rng = np.random.default_rng(1)
    weights = tuple(scale / np.sqrt(WIDTH) * rng.standard_normal((WIDTH, WIDTH)) for _ in range(DEPTH))
    biases = tuple(np.zeros(WIDTH) for _ in range(DEPTH))
    x, number = rng.standard_normal((ROWS, WIDTH)), activation_number(activation)
    outputs, doutputs = (tuple(np.empty((ROWS, WIDTH)) for _ in range(DEPTH)) for _ in range(2))
    mlp_forward(x, weights, biases, number, True, outputs)
    doutputs[-1][:] = rng.standard_normal((ROWS, WIDTH))
    dweights, dbiases = (tuple(np.empty_like(part) for part in parts) for parts in (weights, biases))
    mlp_backward(doutputs, x, outputs, weights, number, True, dweights, dbiases)
    sizes = np.array([np.linalg.norm(dz) for dz in doutputs])
    return sizes / sizes[-1]


def numbers() -> list[list[str]]:
    """Rows of the table."""
    columns = [norms(activation, scale) for _, activation, scale in CASES]
    return [[str(layer), *(f"{column[layer - 1]:.2g}" for column in columns)] for layer in LAYERS]


def draw() -> None:
    """Write the image."""
    figure, axes = plt.subplots(figsize=(5, 3.8), layout="constrained")
    styles = (("o-", "#0072b2"), ("s--", "#d55e00"), ("^-.", "#009e73"), ("D:", "#000000"))
    for (name, activation, scale), (style, colour) in zip(CASES, styles, strict=True):
        layers = np.arange(1, DEPTH + 1)
        axes.plot(layers, norms(activation, scale), style, color=colour, label=name, markersize=4)
    axes.set(
        yscale="log", xlabel="layer (the backward pass goes from right to left)", ylabel="norm of dz, layer 20 = 1"
    )
    axes.set_xticks(LAYERS[::-1])
    axes.legend(fontsize=8)
    IMAGE.parent.mkdir(exist_ok=True)
    figure.savefig(IMAGE, dpi=120)
    Image.open(IMAGE).convert("RGB").quantize(48).save(IMAGE, optimize=True)  # a small file


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
