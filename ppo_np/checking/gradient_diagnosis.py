"""Name the mistakes behind the wrong gradients of a report, and the places where the backward pass turns wrong.

Each step of the backward pass is computed again in NumPy, from the gradients that it was given. If it gave what is
right for them, its error follows from an earlier step. If not, its numbers are compared with those of known mistakes.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ppo_np.checking.distribution_steps import distribution_steps
from ppo_np.checking.gradient_report import Check, Turn
from ppo_np.checking.gradient_step import BackwardPass, Step
from ppo_np.checking.layer_steps import activation_step, parameter_steps
from ppo_np.checking.loss_steps import loss_steps
from ppo_np.network.activations import Layers
from ppo_np.network.model import LOG_STD, ActorCritic

Arrays = Mapping[str, np.ndarray]
Probed = Mapping[str, Sequence[tuple[int, float]]]  # by row: flat indices, and the numeric derivatives there
PROBE_TOLERANCE = 1e-6
DLOGPROBS, DENTROPIES, DVALUES = "policy_loss/dlogprobs", "entropy/dentropies", "value_loss/dvalues"
OTHER_FORWARD = "the loss has another slope than the formulas of docs/gradients.md: is the forward pass another one?"


def layer_names(model: ActorCritic, tower: str) -> list[str]:
    """The layers of a tower from the first to the last, as in the names of its tensors: "policy/0", "policy/head"."""
    return [name.removesuffix("/weight") for name in model.shapes if name.startswith(tower) and name.endswith("weight")]


def by_layer(model: ActorCritic, arrays: Layers) -> dict[str, np.ndarray]:
    """An array for each layer, by the layers' names instead of by towers."""
    pairs = [zip(layer_names(model, tower), of_tower, strict=True) for tower, of_tower in arrays.items()]
    return dict(pair for of_tower in pairs for pair in of_tower)


def before(model: ActorCritic, outputs: str) -> dict[str, list[str]]:
    """The graph of the backward pass: for each row or layer, what hands its gradient on to it. The loss is left out.

    Args:
        model: gives the layers.
        outputs: name of the row of the policy head's outputs, such as "loss/dlogits".
    """
    graph: dict[str, list[str]] = {DLOGPROBS: [], DENTROPIES: [], DVALUES: [], outputs: [DLOGPROBS, DENTROPIES]}
    if LOG_STD in model.shapes:
        graph[LOG_STD] = [DLOGPROBS, DENTROPIES]
    fork = []
    for tower, last in (("policy", [outputs]), ("value", [DVALUES])):
        fork += _add_tower(graph, layer_names(model, tower), last)
    _add_tower(graph, layer_names(model, "shared"), fork)
    return graph


def _add_tower(graph: dict[str, list[str]], layers: list[str], above: list[str]) -> list[str]:
    """Add the layers from the last to the first, and give what hands its gradient on to the tower's input."""
    for layer in reversed(layers):
        graph[layer] = above
        above = [layer]
    return above


def backward_steps(p: BackwardPass, given: Arrays) -> dict[str, Step]:
    """All steps of the backward pass, each from the gradients that it was given; those not given are the right ones.

    Args:
        p: the pass.
        given: the gradients that the pass computed, by the names of rows, and dz by the names of layers.
    """
    steps: dict[str, Step] = {}

    def handed_on(name: str) -> np.ndarray:
        return given[name] if name in given else steps[name].right

    steps |= loss_steps(p)
    steps |= distribution_steps(p, handed_on(DLOGPROBS), handed_on(DENTROPIES))
    model, outputs = p.model, p.activations.outputs
    row = f"loss/d{p.activations.distribution.output_name}"
    dz = {"policy/head": handed_on(row), "value/head": handed_on(DVALUES)[:, np.newaxis]}
    h = by_layer(model, outputs)
    weights = {layer: model.named(model.params)[f"{layer}/weight"] for layer in h}
    graph = before(model, row)
    for layer in (name for name in graph if name in h):
        above = graph[layer]
        if layer not in dz:
            others = {name: output for name, output in h.items() if name != layer}
            steps[layer] = activation_step(p, h[layer], [(dz[name], weights[name]) for name in above], others)
            dz[layer] = handed_on(layer)
        x = _input_of(layer, p)
        steps |= {f"{layer}/{kind}": step for kind, step in parameter_steps(x, dz[layer], h[layer]).items()}
    return steps


def _input_of(layer: str, p: BackwardPass) -> np.ndarray:
    """x of a layer, (B, I): the output of the layer below it, or the observations."""
    tower = layer.partition("/")[0]
    number = layer_names(p.model, tower).index(layer)
    if number:
        return p.activations.outputs[tower][number - 1]
    shared = p.activations.outputs["shared"]
    return shared[-1] if tower != "shared" and shared else p.minibatch.obs


@np.errstate(all="ignore")  # what a wrong pass computed need not be finite
def explained(checks: Iterable[Check], p: BackwardPass, gradients: Arrays, probed: Probed) -> list[Check]:
    """The checks with the kind of mistake as the hint of each wrong one for which it is known.

    Args:
        checks: in the order of the backward pass.
        p: the pass, with the numbers with which the checks were made.
        gradients: the gradient of each row, as the pass computed it.
        probed: the numeric derivatives at single coordinates.
    """
    checks = list(checks)
    graph = before(p.model, f"loss/d{p.activations.distribution.output_name}")
    given = by_layer(p.model, p.activations.doutputs) | dict(gradients)
    right, steps = backward_steps(p, {}), backward_steps(p, given)
    bad = wrong_places(checks)
    hints = []
    for check in checks:
        hint = check.hint
        if check.verdict != "ok":
            place = _place(check.name, graph)
            if not _agrees(right[check.name].right, probed[check.name]):
                hint = f"{hint}; {OTHER_FORWARD}"
            else:
                hint = _hint([check.name, place], given, steps, [name for name in graph[place] if name in bad]) or hint
        hints.append(hint)
    return [dataclasses.replace(check, hint=hint) for check, hint in zip(checks, hints, strict=True)]


def _agrees(right: np.ndarray, probes: Sequence[tuple[int, float]]) -> bool:
    """Whether a right gradient, by the formulas, has the numeric derivatives."""
    expected = np.array([right.reshape(-1)[index] for index, _ in probes])
    numeric = np.array([value for _, value in probes])
    scale = np.linalg.norm(expected) + np.linalg.norm(numeric)
    return bool(np.linalg.norm(expected - numeric) <= PROBE_TOLERANCE * scale + 1e-8)


def _hint(places: list[str], given: Arrays, steps: Mapping[str, Step], earlier: list[str]) -> str | None:
    """The mistakes in the steps to these places; what the error follows from, if the steps are right."""
    wrong = [name for name in dict.fromkeys(places) if name in steps and not steps[name].gives(given[name])]
    if wrong:
        found = [steps[name].mistake_in(given[name]) for name in wrong]
        return "; ".join(found) if None not in found else None  # type: ignore[arg-type]
    return f"follows from {' and '.join(earlier)}; its own step is right" if earlier else None


def _place(row: str, graph: Mapping[str, list[str]]) -> str:
    """The place of a row in the graph: itself, or the layer of a tensor."""
    return row if row in graph else row.rpartition("/")[0]


def wrong_places(checks: Iterable[Check]) -> set[str]:
    """The rows that are wrong, and the layers of which both tensors are: so the gradient that they hand on is."""
    names = {check.name for check in checks if check.verdict != "ok"}
    layers = {name.removesuffix("/weight") for name in names if name.endswith("/weight")}
    return names | {layer for layer in layers if f"{layer}/bias" in names}


def turns(checks: Sequence[Check], model: ActorCritic, outputs: str) -> list[Turn]:
    """Where the backward pass turns wrong: the wrong rows and layers, with what is right before them.

    Args:
        checks: in the order of the backward pass.
        model, outputs: as for `before`.
    """
    graph, bad = before(model, outputs), wrong_places(checks)
    found: dict[str, Turn] = {}
    for check in checks:
        place = _place(check.name, graph)
        if check.verdict != "ok" and not bad.intersection(graph[place]):
            wrong = place if place in bad else check.name
            found[wrong] = Turn(graph[place] or ["loss"], wrong)
    return list(found.values())
