"""Draw the picture of lesson 17, a signal through 20 layers: `python docs/figures/lesson17_orthogonal.py`.

It writes docs/course/images/lesson17_orthogonal.png and prints the table of the page.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from kernels.activation import RELU
from kernels.initializer import orthogonal
from kernels.mlp import mlp_forward

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson17_orthogonal.png"
ROWS, WIDTH, DEPTH = 64, 64, 20
LAYERS = (0, 5, 10, 15, 20)
CASES = ("orthogonal, gain 1.41", "orthogonal, gain 1", "normal, std 0.1", "normal, std 0.25")
HEAD = ["layer", *CASES]


def weights(case: str, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Weights of all layers; the number at the end of the case is the gain or the standard deviation."""
    kind, _, _, number = case.replace(",", "").partition(" ")[0], *case.rpartition(" ")
    made = []
    for _ in range(DEPTH):
        weight = rng.standard_normal((WIDTH, WIDTH))
        if kind == "orthogonal":
            orthogonal(weight.copy(), np.sqrt(2) if number == "1.41" else 1.0, weight)
        else:
            weight *= float(number)
        made.append(weight)
    return tuple(made)


def sizes(case: str) -> list[float]:
    """Root mean square of the input and of each layer's output after ReLU."""
    rng = np.random.default_rng(1)
    x, outputs = rng.standard_normal((ROWS, WIDTH)), tuple(np.empty((ROWS, WIDTH)) for _ in range(DEPTH))
    mlp_forward(x, weights(case, rng), tuple(np.zeros(WIDTH) for _ in range(DEPTH)), RELU, True, outputs)
    return [float(np.sqrt(np.mean(h**2))) for h in (x, *outputs)]


def stretches(scaled_normal: bool) -> np.ndarray:
    """Singular values of the product of 20 matrices: orthogonal ones, or normal numbers with std 1 / sqrt(width)."""
    rng = np.random.default_rng(1)
    case = f"normal, std {1 / np.sqrt(WIDTH)}" if scaled_normal else "orthogonal, gain 1"
    product = np.linalg.multi_dot(weights(case, rng))
    return np.linalg.svd(product, compute_uv=False)


def numbers() -> list[list[str]]:
    """Rows of the table."""
    columns = [sizes(case) for case in CASES]
    return [[str(layer), *(f"{column[layer]:.2g}" for column in columns)] for layer in LAYERS]


def draw() -> None:
    """Write the image."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(5, 6), layout="constrained")
    styles = (("o-", "#0072b2"), ("s--", "#d55e00"), ("^-.", "#009e73"), ("D:", "#000000"))
    for case, (style, colour) in zip(CASES, styles, strict=True):
        above.plot(range(DEPTH + 1), sizes(case), style, color=colour, label=case, markersize=4)
    above.set(yscale="log", xlabel="layer (0: the input)", ylabel="root mean square", title="ReLU after each layer")
    above.set_xticks(LAYERS)
    above.legend(fontsize=8)
    places = np.arange(1, WIDTH + 1)
    below.plot(places, stretches(False), "s--", color="#d55e00", label="orthogonal, gain 1", markersize=3)
    below.plot(places, stretches(True), "^-.", color="#009e73", label="normal, std 0.125", markersize=3)
    title = "stretch by 20 layers without activation"
    below.set(yscale="log", xlabel="direction, sorted", ylabel="output length / input length", title=title)
    below.legend(fontsize=8)
    IMAGE.parent.mkdir(exist_ok=True)
    figure.savefig(IMAGE, dpi=120)
    Image.open(IMAGE).convert("RGB").quantize(48).save(IMAGE, optimize=True)  # a small file


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
