"""How functions of the course replace what the network and its optimiser compute."""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from kernels.acting import FINE, NOT_FINITE
from kernels.activation import RELU
from kernels.finite import all_finite, first_outside
from ppo_np.course.training.calls import PARAMETER_BITS, Array, Caller, Targets
from ppo_np.network import model as model_module
from ppo_np.network import optimizer
from ppo_np.network.activations import Activations, Tower
from ppo_np.network.model import ActorCritic

Layers = list[tuple[Array, Array]]
# Where the package looks it up, its name there, and what replaces it.
Replacement = tuple[object, str, Callable[..., Any] | bool]
TOWERS = ("shared", "policy", "value")
KINDS = ("weight", "bias")


class NetworkHooks:
    """Initial weights, forward and backward pass, clipping and Adam.

    The functions `actor_critic_forward` and `actor_critic_backward` are used if there are shared layers; otherwise the
    two towers have nothing in common, and `mlp_forward` and `mlp_backward` are enough.
    """

    def __init__(self, caller: Caller):
        self._caller = caller
        self._model: ActorCritic | None = None  # the last one that computed a gradient
        self._layers: WeakKeyDictionary[ActorCritic, dict[str, Layers]] = WeakKeyDictionary()
        self._moments: dict[int, tuple[Array, Array]] = {}  # Adam's m and v in float64, by the id of the package's m

    def replacements(self) -> list[Replacement]:
        """What to replace. `backward` is among it in any case: clipping needs the shapes of the tensors."""
        original_backward = ActorCritic.backward
        names = self._caller.functions.keys()
        found: list[Replacement] = [
            (ActorCritic, "backward", lambda *arguments: self._backward(original_backward, *arguments))
        ]
        if names & {"mlp_forward", "actor_critic_forward"}:
            found.append((ActorCritic, "forward", lambda *arguments: self._forward(*arguments)))
            found.append((ActorCritic, "act", lambda *arguments, **policy_only: self._act(*arguments, **policy_only)))
        if names & {"mlp_forward", "actor_critic_forward", "collect"}:
            # Values are computed in each step, as a learner's `collect` does it: rounding depends on what is rounded
            # together.
            found.append((ActorCritic, "separate", False))
        one_by_one: dict[str, Replacement] = {
            "orthogonal": (model_module, "orthogonal", self._orthogonal),
            "clip_by_global_norm": (optimizer, "clip_by_global_norm", self._clip_by_global_norm),
            "adam": (optimizer, "adam", self._adam),
        }
        return found + [replacement for name, replacement in one_by_one.items() if name in names]

    def _orthogonal(self, normals: Array, gain: float, weight: Array) -> None:
        self._caller.call("orthogonal", (normals, gain, weight.shape), [("weight", weight)], PARAMETER_BITS)

    def _together(self, model: ActorCritic, direction: str) -> bool:
        """Whether one function computes the whole network."""
        whole, parts = (f"{network}_{direction}" in self._caller for network in ("actor_critic", "mlp"))
        return whole and (bool(model.sizes["shared"]) or not parts)

    def _act(
        self, model: ActorCritic, obs: Array, limit: float, activations: Activations, policy_only: bool = False
    ) -> int:
        """As `ActorCritic.act`, with the values in any case."""
        place = first_outside(obs.reshape(-1), limit)
        if place >= 0:
            return place
        model.forward(obs, activations)
        outputs = activations.policy_outputs.reshape(-1), activations.values
        return FINE if all(map(all_finite, outputs)) else NOT_FINITE

    def _forward(self, model: ActorCritic, obs: Array, activations: Activations) -> None:
        """As `ActorCritic.forward`."""
        outputs, layers, activation = activations.outputs, self._layers_of(model), _activation(model)
        if self._together(model, "forward"):
            targets: Targets = [("logits", activations.policy_outputs), ("values", activations.values)]
            for tower in TOWERS:
                targets = [*targets, *_named_outputs(f"{tower}_outputs", outputs[tower])]
            self._caller.call("actor_critic_forward", (obs, *layers.values(), activation), targets)
            return
        features = obs
        for tower in TOWERS:
            if layers[tower]:
                arguments = features, layers[tower], activation, tower == "shared"
                self._caller.call("mlp_forward", arguments, _named_outputs("outputs", outputs[tower]))
            if tower == "shared" and layers[tower]:
                features = outputs[tower][-1]

    def _backward(
        self, original: Callable[..., None], model: ActorCritic, obs: Array, activations: Activations
    ) -> None:
        """As `ActorCritic.backward`; `original` is that method itself."""
        self._model = model
        if self._together(model, "backward"):
            self._backward_together(model, obs, activations)
        elif "mlp_backward" in self._caller:
            self._backward_towers(model, obs, activations)
        else:
            original(model, obs, activations)

    def _backward_together(self, model: ActorCritic, obs: Array, activations: Activations) -> None:
        outputs = tuple(self._saved(tower, obs, activations) for tower in TOWERS)
        targets: Targets = []
        for tower in TOWERS:
            targets = [*targets, *_named_grads(f"d{tower}", activations.grad_towers[tower])]
        gradients = activations.dpolicy_outputs, activations.dvalues
        arguments = *gradients, outputs, *self._layers_of(model).values(), _activation(model)
        self._caller.call("actor_critic_backward", arguments, targets)

    def _backward_towers(self, model: ActorCritic, obs: Array, activations: Activations) -> None:
        """Both towers, then, with the sum of what they send back, the shared layers."""
        layers, activation = self._layers_of(model), _activation(model)
        shared = bool(layers["shared"])
        dfeatures = np.zeros((activations.rows, len(layers["policy"][0][0])), model.dtype)
        for tower in ("policy", "value", "shared") if shared else ("policy", "value"):
            dy = dfeatures if tower == "shared" else activations.doutputs[tower][-1]
            dx = np.zeros_like(dfeatures) if shared and tower != "shared" else None
            targets = [*_named_grads("dlayers", activations.grad_towers[tower]), ("dx", dx)]
            arguments = dy, self._saved(tower, obs, activations), layers[tower], activation, tower == "shared"
            self._caller.call("mlp_backward", arguments, targets)
            if dx is not None:
                dfeatures += dx

    def _layers_of(self, model: ActorCritic) -> dict[str, Layers]:
        """[(weight, bias), ...] of each tower, views into the parameters."""
        if model not in self._layers:
            towers = model.towers(model.params)
            self._layers[model] = {
                name: list(zip(towers[name].weights, towers[name].biases, strict=True)) for name in TOWERS
            }
        return self._layers[model]

    @staticmethod
    def _saved(tower: str, obs: Array, activations: Activations) -> list[Array]:
        """[x, h_1, ..., h_L] of a tower."""
        trunk = activations.outputs["shared"]
        x = trunk[-1] if trunk and tower != "shared" else obs
        return [x, *activations.outputs[tower]]

    def _clip_by_global_norm(self, grads: Array, norm: float, max_norm: float) -> None:
        tensors = self._model.named(grads) if self._model else {"grads": grads}
        self._caller.call("clip_by_global_norm", (list(tensors.values()), max_norm), list(tensors.items()))

    def _adam(self, params: Array, grads: Array, m: Array, v: Array, step: int, *constants: float) -> None:
        """One step. The moments are kept in float64 here; the package's own are rounded copies."""
        moments = self._moments.get(id(m)) if step > 1 else None
        arguments = params, grads, *(moments or (m, v)), step, *constants
        targets = [("params", params), ("m", m), ("v", v)]
        results = self._caller.results("adam", arguments, targets)
        params[:] = self._caller.rounded(results[0], PARAMETER_BITS)
        m[:], v[:] = results[1:]
        self._moments[id(m)] = results[1], results[2]


def _activation(model: ActorCritic) -> str:
    return "relu" if model.activation == RELU else "tanh"


def _named_outputs(name: str, outputs: tuple[Array, ...]) -> list[tuple[str, Array | None]]:
    """Where [x, h_1, ..., h_L] go: x nowhere."""
    return [(f"{name}[0]", None), *((f"{name}[{l}]", output) for l, output in enumerate(outputs, 1))]


def _named_grads(name: str, grads: Tower) -> list[tuple[str, Array | None]]:
    """Where [(dweight, dbias), ...] go."""
    pairs = zip(grads.weights, grads.biases, strict=True)
    return [
        (f"{name}[{l}].d{kind}", grad) for l, pair in enumerate(pairs) for kind, grad in zip(KINDS, pair, strict=True)
    ]
