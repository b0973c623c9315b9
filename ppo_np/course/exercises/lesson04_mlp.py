"""Grades lesson 4: the backward pass of a whole MLP against differences of the learner's forward pass."""

from itertools import pairwise

import numpy as np

from ppo_np.course.exercise import Exercise, Functions, Point, gradient

ROWS = 3
MARGIN = 1e-2  # of each |z| from the kink of ReLU: far more than the step of a difference
NETWORKS = {  # widths, activation, activate_last
    "2 layers of the same width, tanh": ((3, 3, 3), "tanh", False),
    "1 layer": ((3, 2), "relu", False),
    "1 layer, activated": ((2, 3), "tanh", True),
    "3 layers, relu, last activated": ((2, 4, 3, 2), "relu", True),
    "4 layers, relu": ((3, 2, 4, 3, 1), "relu", False),
}
X = np.array([[1.0, 2.0], [3.0, -1.0]])
LAYERS = [
    (np.array([[1.0, 0.0], [2.0, -1.0]]), np.array([0.5, 1.0])),
    (np.array([[1.0], [-2.0]]), np.array([0.25])),
]
OUTPUTS = [X, np.array([[5.5, 0.0], [1.5, 2.0]]), np.array([[5.75], [-2.25]])]
DY = np.array([[1.0], [-2.0]])
DLAYERS = [
    (np.array([[-5.0, 12.0], [4.0, -4.0]]), np.array([-1.0, 4.0])),
    (np.array([[2.5], [-4.0]]), np.array([-1.0])),
]
DX = np.array([[1.0, 2.0], [-2.0, -8.0]])


def _drawn(rng: np.random.Generator) -> list[Point]:
    """A point for each network: drawn again until no z is near 0 and, with ReLU, each layer passes and cuts off."""
    points = []
    for label, (widths, activation, activate_last) in NETWORKS.items():
        while True:
            point = _point(rng, label, widths, activation, activate_last)
            if point.clear:
                points.append(point)
                break
    return points


def _point(
    rng: np.random.Generator, label: str, widths: tuple[int, ...], activation: str, activate_last: bool
) -> Point:
    layers = [
        (rng.standard_normal((inputs, outputs)), 0.5 * rng.standard_normal(outputs))
        for inputs, outputs in pairwise(widths)
    ]
    x = rng.standard_normal((ROWS, widths[0]))
    outputs, clear = [x], True
    for number, (weight, bias) in enumerate(layers, start=1):
        z = outputs[-1] @ weight + bias
        activated = number < len(layers) or activate_last
        clear = clear and bool(np.abs(z).min() > MARGIN and (z > 0).any() and (z < 0).any())
        outputs.append(z if not activated else np.tanh(z) if activation == "tanh" else np.where(z > 0, z, 0.0))
    return Point(
        label, x=x, layers=layers, activation=activation, activate_last=activate_last, outputs=outputs,
        dy=rng.standard_normal(outputs[-1].shape), clear=clear,
    )  # fmt: skip


def _forward_points(rng: np.random.Generator) -> list[Point]:
    by_hand = Point("worked by hand", OUTPUTS, x=X, layers=LAYERS, activation="relu", activate_last=False)
    return [by_hand, *_drawn(rng)]


def _backward_points(rng: np.random.Generator) -> list[Point]:
    by_hand = Point(
        "worked by hand", (DLAYERS, DX), dy=DY, outputs=OUTPUTS, layers=LAYERS, activation="relu", activate_last=False
    )
    return [by_hand, *_drawn(rng)]


def _mlp_backward(mine: Functions, point: Point) -> tuple[list[tuple[np.ndarray, ...]], np.ndarray]:
    """d sum(dy h_L) / d all parameters and x, by differences of the learner's forward pass."""

    def loss(x: np.ndarray, *params: np.ndarray) -> float:
        layers = list(zip(params[::2], params[1::2], strict=True))
        return (point.dy * mine.mlp_forward(x, layers, point.activation, point.activate_last)[-1]).sum()

    dx, *dparams = gradient(loss, point.x, *(param for layer in point.layers for param in layer))
    return list(zip(dparams[::2], dparams[1::2], strict=True)), dx


EXERCISES = [
    Exercise("mlp_forward", ("x", "layers", "activation", "activate_last"), ("outputs",), _forward_points),
    Exercise(
        "mlp_backward", ("dy", "outputs", "layers", "activation", "activate_last"), ("dlayers", "dx"), _backward_points,
        _mlp_backward, rests_on=("mlp_forward",),
    ),
]  # fmt: skip
