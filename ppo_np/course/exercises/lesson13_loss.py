"""Grades lesson 13: the whole loss, and the gradient of a network with a trunk and two heads."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from ppo_np.course.exercise import Exercise, Functions, Point, gradient

FORWARD = (
    "logprobs", "entropies", "values", "old_logprobs", "old_values", "advantages", "returns", "clip_coef", "ent_coef",
    "vf_coef", "clip_vloss",
)  # fmt: skip
BACKWARD = ("dloss", *(name for name in FORWARD if name != "entropies"))
REGIONS = ("A>0, r<1-e", "A>0, inside", "A>0, r>1+e", "A<0, r<1-e", "A<0, inside", "A<0, r>1+e")
MARGIN = 1e-3  # of each hidden number from the kink of ReLU
Layers = list[tuple[np.ndarray, np.ndarray]]


def _loss_by_hand(expected: object) -> Point:
    """The rows that lessons 11 and 12 work by hand, with entropies."""
    return Point(
        "worked by hand", expected, logprobs=np.log([0.75, 0.25]), old_logprobs=np.log([0.5, 0.5]),
        entropies=np.array([0.5, 1.0]), values=np.array([1.0, 2.0]), old_values=np.array([0.0, 2.0]),
        advantages=np.array([2.0, 2.0]), returns=np.array([2.0, 1.5]), clip_coef=0.25, ent_coef=0.125, vf_coef=0.5,
        clip_vloss=True, dloss=1.0,
    )  # fmt: skip


def _forward_losses(rng: np.random.Generator) -> list[Point]:
    return [_loss_by_hand(-1.75 - 0.125 * 0.75 + 0.5 * 0.828125), *_losses(rng)]


def _backward_losses(rng: np.random.Generator) -> list[Point]:
    expected = np.array([0.0, -0.5]), np.array([-0.0625, -0.0625]), np.array([0.0, 0.125])
    return [_loss_by_hand(expected), *_losses(rng)]


def _losses(rng: np.random.Generator) -> list[Point]:
    return [_loss_point(rng, 12, 0.2, True), _loss_point(rng, 8, 0.3, True), _loss_point(rng, 6, 0.2, False)]


def _loss_point(rng: np.random.Generator, rows: int, e: float, clip_vloss: bool) -> Point:
    """Rows in all regions of the ratio and with values in and out of the clip range, away from the kinks."""
    row = rng.permutation(rows)
    u = rng.uniform(0.1, 0.9, (3, rows))
    ratios = np.choose(row // 2 % 3, [(1 - e) * u[0], 1 - e + 2 * e * u[0], (1 + e) * (1 + u[0])])
    logprobs, values = -1 - u[1], rng.standard_normal(rows)
    change = e * np.where(row % 4 < 2, u[1], 1.2 + u[1]) * np.where(row % 3, 1, -1)
    return Point(
        f"{rows} rows, clip_coef {e}, clip_vloss {clip_vloss}", logprobs=logprobs, entropies=u[2], values=values,
        old_logprobs=logprobs - np.log(ratios), old_values=values - change, clip_coef=e, ent_coef=rng.uniform(0.1, 1),
        advantages=np.where(row % 2, -1, 1) * rng.uniform(0.5, 2, rows), vf_coef=rng.uniform(0.2, 0.8),
        returns=values + np.where(row % 5 < 2, 1, -1) * (4 * e + u[0]), clip_vloss=clip_vloss,
        dloss=rng.uniform(0.5, 2),
    )  # fmt: skip


def _ppo_loss_backward(mine: Functions, point: Point) -> tuple[np.ndarray, ...]:
    def loss(logprobs: np.ndarray, entropies: np.ndarray, values: np.ndarray) -> float:
        rest = [getattr(point, name) for name in FORWARD[3:]]
        return point.dloss * mine.ppo_loss(logprobs, entropies, values, *rest)

    return gradient(loss, point.logprobs, point.entropies, point.values)


def _regions(point: Point) -> Mapping[str, np.ndarray]:
    ratios = np.exp(point.logprobs - point.old_logprobs)
    side = np.digitize(ratios, [1 - point.clip_coef, 1 + point.clip_coef]) + 3 * (point.advantages < 0)
    return {name: side == number for number, name in enumerate(REGIONS)}


def _layers(rng: np.random.Generator, *widths: int) -> Layers:
    return [(rng.standard_normal((i, o)) / np.sqrt(i), rng.standard_normal(o) / 2) for i, o in pairwise(widths)]


def _hidden(x: np.ndarray, layers: Layers, activation: str, activate_last: bool) -> list[np.ndarray]:
    """[x, h_1, ..., h_L], as `mlp_forward` of lesson 4."""
    outputs = [x]
    for number, (weight, bias) in enumerate(layers, 1):
        z = outputs[-1] @ weight + bias
        if number < len(layers) or activate_last:
            z = np.tanh(z) if activation == "tanh" else np.where(z > 0, z, 0.0)
        outputs.append(z)
    return outputs


def _network(rng: np.random.Generator, label: str, activation: str, *sizes: tuple[int, ...]) -> Point:
    """A network with the widths of trunk, policy and value; drawn again if a number is near the kink of ReLU."""
    while True:
        shared, policy, value = (_layers(rng, *widths) for widths in sizes)
        obs = rng.standard_normal((4, sizes[0][0]))
        trunk = _hidden(obs, shared, activation, True)
        heads = [_hidden(trunk[-1], layers, activation, False) for layers in (policy, value)]
        numbers = [trunk[1:], *(head[1:-1] for head in heads)]
        hidden = np.concatenate([h.reshape(-1) for outputs in numbers for h in outputs])
        positive = hidden[hidden != 0]
        if activation == "tanh" or (len(positive) and positive.min() > MARGIN and (hidden == 0).any()):
            break
    return Point(
        label, obs=obs, shared=shared, policy=policy, value=value, activation=activation, outputs=(trunk, *heads),
        dlogits=rng.standard_normal((4, sizes[1][-1])), dvalues=rng.standard_normal(4),
    )  # fmt: skip


def _networks(rng: np.random.Generator) -> list[Point]:
    return [
        _network(rng, "a trunk of two layers, tanh", "tanh", (3, 4, 3), (3, 2), (3, 1)),
        _network(rng, "a trunk and towers, relu", "relu", (2, 4), (4, 3, 2), (4, 3, 1)),
        _network(rng, "no trunk", "tanh", (3,), (3, 2, 2), (3, 2, 1)),
    ]


def _network_by_hand(backward: bool) -> Point:
    """A trunk of one layer and two heads of one layer; in the first row ReLU sets the second feature to 0."""
    obs, h = np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([[3.0, 0.0], [3.0, 2.0]])
    logits, values = np.array([[3.0, -2.0], [4.0, 0.0]]), np.array([2.5, 0.5])
    outputs = [obs, h], [h, logits], [h, values[:, np.newaxis]]
    dshared = np.array([[-3.75, -2.0], [1.5, -1.0]]), np.array([-0.75, -1.0])
    dpolicy = np.array([[-3.0, 3.0], [-4.0, 4.0]]), np.array([-1.0, 1.0])
    dvalue = np.array([[7.5], [4.0]]), np.array([2.5])
    expected = ([dshared], [dpolicy], [dvalue]) if backward else (logits, values, outputs)
    return Point(
        "worked by hand", expected, obs=obs, activation="relu", outputs=outputs,
        shared=[(np.array([[1.0, 2.0], [1.0, -1.0]]), np.array([0.0, -1.0]))],
        policy=[(np.array([[1.0, -1.0], [0.5, 1.0]]), np.array([0.0, 1.0]))],
        value=[(np.array([[0.5], [-1.0]]), np.array([1.0]))],
        dlogits=np.array([[1.0, -1.0], [-2.0, 2.0]]), dvalues=np.array([0.5, 2.0]),
    )  # fmt: skip


def _forward_networks(rng: np.random.Generator) -> list[Point]:
    return [_network_by_hand(backward=False), *_networks(rng)]


def _backward_networks(rng: np.random.Generator) -> list[Point]:
    return [_network_by_hand(backward=True), *_networks(rng)]


def _actor_critic_backward(mine: Functions, point: Point) -> tuple[Any, ...]:
    towers = [point.shared, point.policy, point.value]

    def loss(*params: np.ndarray) -> float:
        numbers = iter(params)
        layers = [[(next(numbers), next(numbers)) for _ in tower] for tower in towers]
        logits, values, _ = mine.actor_critic_forward(point.obs, *layers, point.activation)
        return (point.dlogits * logits).sum() + (point.dvalues * values).sum()

    numbers = iter(gradient(loss, *(param for tower in towers for layer in tower for param in layer)))
    return tuple([(next(numbers), next(numbers)) for _ in tower] for tower in towers)


EXERCISES = [
    Exercise("ppo_loss", FORWARD, ("loss",), _forward_losses, groups=_regions),
    Exercise(
        "ppo_loss_backward", BACKWARD, ("dlogprobs", "dentropies", "dvalues"), _backward_losses, _ppo_loss_backward,
        rests_on=("ppo_loss",), groups=_regions,
    ),
    Exercise(
        "actor_critic_forward", ("obs", "shared", "policy", "value", "activation"), ("logits", "values", "outputs"),
        _forward_networks,
    ),
    Exercise(
        "actor_critic_backward", ("dlogits", "dvalues", "outputs", "shared", "policy", "value", "activation"),
        ("dshared", "dpolicy", "dvalue"), _backward_networks, _actor_critic_backward,
        rests_on=("actor_critic_forward",),
    ),
]  # fmt: skip
