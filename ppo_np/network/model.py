"""The actor-critic network: a shared trunk, a policy tower and a value tower on one flat parameter vector.

    obs -> [shared layers] -> h -> [policy layers] -> policy head -> pi_out -> distribution -> logprobs, entropies
                                -> [value layers]  -> value head  -> values

pi_out are the numbers that the distribution is made of: logits, or the means of a Gaussian (whose log_std is one more
parameter tensor).

The forward pass walks down these stairs, the backward pass back up the same ones. Where the two towers stand on the
trunk, their gradients by h are added.
"""

import math
from dataclasses import dataclass

import numpy as np

from kernels.acting import FROM_OBS, TO_PI_OUT, TO_VALUES, acting_forward
from kernels.activation import activation_number
from kernels.advantage import normalize
from kernels.initializer import orthogonal
from kernels.linear import linear_backward_input
from kernels.loss import LOSS_TERMS, ppo_loss_backward, ppo_loss_forward
from kernels.mlp import mlp_backward, mlp_forward
from ppo_np.config import PPOConfig
from ppo_np.network.batch import Batch
from ppo_np.network.distributions import ActionHead, Distribution

HIDDEN_GAIN, POLICY_GAIN, VALUE_GAIN = math.sqrt(2), 0.01, 1.0
LOG_STD = "policy/log_std"
HEADS = {"policy/head/weight": TO_PI_OUT, "value/head/weight": TO_VALUES}


@dataclass(frozen=True)
class Tower:
    """A stack of layers as views into a flat vector: of the parameters, or of their gradient."""

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]


class ActorCritic:
    """Policy and value network whose gradients are written by hand.

    Args:
        obs_size: D >= 1, length of a flat observation.
        head: which distribution stands on the policy head, and how many outputs it needs.
        config: gives the sizes of the layers, the activation and the initial log_std.
        rng: source of the initial weights; None leaves all parameters 0, to be filled.
        dtype: float32 to train, float64 to check gradients.

    Attributes:
        params, grads: flat vectors of P numbers; `named(params)` gives the tensors in them.
        grads_and_terms: `grads`, and room behind it for the loss terms: one array to add up over ranks.
        layers: (L, 5), where `acting_forward` finds each layer.
    """

    def __init__(
        self, obs_size: int, head: ActionHead, config: PPOConfig, rng: np.random.Generator | None, dtype=np.float32
    ):
        self.obs_size, self.head = obs_size, head
        self.dtype = dtype
        self.activation = activation_number(config.activation)
        self.sizes = {
            "shared": config.shared_sizes,
            "policy": (*config.policy_sizes, head.outputs),
            "value": (*config.value_sizes, 1),
        }
        self.shapes = self._tensor_shapes()
        self.params = np.zeros(sum(math.prod(shape) for shape in self.shapes.values()), dtype)
        self.grads_and_terms = np.zeros(self.params.size + len(LOSS_TERMS), dtype)
        self.grads = self.grads_and_terms[: self.params.size]
        self.layers, self._scratch = self._layer_table(), np.zeros(0, dtype)
        self._hidden = sum(sum(widths[:-1]) for widths in self.sizes.values()) + sum(config.shared_sizes[-1:])
        self._params, self.grad_towers = self.towers(self.params), self.towers(self.grads)
        if rng is not None:
            self.initialize(rng, config.log_std_init)

    def _tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor, in the order of the flat vector.

        tower/layer/weight and tower/layer/bias; after the policy's head, where the actions are real, policy/log_std.
        """
        shapes = {}
        features = self.sizes["shared"][-1] if self.sizes["shared"] else self.obs_size
        for tower, widths in self.sizes.items():
            fan_in = self.obs_size if tower == "shared" else features
            for layer, width in enumerate(widths):
                head = tower != "shared" and layer == len(widths) - 1
                name = f"{tower}/head" if head else f"{tower}/{layer}"
                shapes[f"{name}/weight"], shapes[f"{name}/bias"] = (fan_in, width), (width,)
                fan_in = width
            if tower == "policy" and self.head.has_log_std:
                shapes[LOG_STD] = (self.head.outputs,)
        return shapes

    def _layer_table(self) -> np.ndarray:
        """The layers for `acting_forward`: (L, 5)."""
        table, at, used = [], 0, 0
        ends = dict.fromkeys(self.sizes, FROM_OBS)  # where in a row of scratch each tower's last output begins
        for name, shape in self.shapes.items():
            tower = name.partition("/")[0]
            if name.endswith("weight"):
                target = HEADS.get(name, used)
                table.append((at, *shape, ends[tower], target))
                if target == used:
                    ends[tower], used = used, used + shape[1]
                    if tower == "shared":
                        ends = dict.fromkeys(ends, ends["shared"])
            at += math.prod(shape)
        return np.array(table, np.int64)

    def named(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Views of a flat vector (P,) as the named tensors of the network: weights (I, O), biases (O,)."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes.values()])
        return {
            name: part.reshape(shape)
            for (name, shape), part in zip(self.shapes.items(), np.split(flat, ends[:-1]), strict=True)
        }

    def towers(self, flat: np.ndarray) -> dict[str, Tower]:
        """Views of a flat vector (P,) as the layers of each tower."""
        tensors = self.named(flat)
        return {
            tower: Tower(
                tuple(t for name, t in tensors.items() if name.startswith(tower) and name.endswith("weight")),
                tuple(t for name, t in tensors.items() if name.startswith(tower) and name.endswith("bias")),
            )
            for tower in self.sizes
        }

    def initialize(self, rng: np.random.Generator, log_std_init: float) -> None:
        """Set orthogonal weights (gain sqrt(2) hidden, 0.01 policy head, 1 value head), zero biases, and log_std."""
        gains = {"policy/head/weight": POLICY_GAIN, "value/head/weight": VALUE_GAIN}
        for name, tensor in self.named(self.params).items():
            if name.endswith("bias"):
                tensor[:] = 0
            elif name == LOG_STD:
                tensor[:] = log_std_init
            else:
                normals = rng.standard_normal((max(tensor.shape), min(tensor.shape)))
                orthogonal(normals, gains.get(name, HIDDEN_GAIN), tensor)

    def actions(self, *shape: int) -> np.ndarray:
        """Preallocate actions, (*shape, ...)."""
        one = self.distribution(1).actions
        return np.zeros((*shape, *one.shape[1:]), one.dtype)

    def batch(self, rows: int) -> Batch:
        """Preallocate the arrays for `rows` rows."""
        return Batch(rows, self)

    def distribution(self, rows: int, grads: np.ndarray | None = None) -> Distribution:
        """The distribution over the actions of `rows` rows.

        A Gaussian's log_std is a view into the parameters, its gradient one into `grads`, (P,), or the model's own.
        """
        flats = (self.params, self.grads if grads is None else grads) if self.head.has_log_std else ()
        return self.head.kind(self.head.sizes, rows, self.dtype, *(self.named(flat)[LOG_STD] for flat in flats))

    def forward(self, batch: Batch) -> None:
        """Compute `batch.pi_out` and `batch.values` from `batch.obs`."""
        if self.sizes["shared"]:
            self._forward("shared", batch.obs, batch)
        self._forward("policy", batch.features, batch)
        self._forward("value", batch.features, batch)

    def act(self, obs: np.ndarray, limit: float, batch: Batch) -> int:
        """As `forward`, on other observations, (B, D), than the batch's, and without keeping the layers' outputs.

        Returns:
            -1; -2 if an output is not finite; or the place in obs, flat, of the first number not within +-limit.
        """
        if len(self._scratch) < batch.rows * self._hidden:
            self._scratch = np.zeros(batch.rows * self._hidden, self.dtype)
        return acting_forward(
            self.params, self.layers, obs, limit, self.activation, self._scratch, batch.pi_out, batch.values
        )

    def _forward(self, tower: str, x: np.ndarray, batch: Batch) -> None:
        layers = self._params[tower]
        mlp_forward(x, layers.weights, layers.biases, self.activation, tower == "shared", batch.outputs[tower])

    def backward(self, batch: Batch) -> None:
        """Compute the layers' gradients from `batch.dpi_out` and `batch.dvalues`, after `forward`."""
        self._backward("policy", batch.features, batch)
        self._backward("value", batch.features, batch)
        if self.sizes["shared"]:
            # The fork: h feeds both towers, so dh = dh_policy + dh_value.
            dfeatures = batch.doutputs["shared"][-1]
            linear_backward_input(batch.doutputs["policy"][0], self._params["policy"].weights[0], dfeatures)
            linear_backward_input(batch.doutputs["value"][0], self._params["value"].weights[0], batch.dfeatures)
            dfeatures += batch.dfeatures
            self._backward("shared", batch.obs, batch)

    def _backward(self, tower: str, x: np.ndarray, batch: Batch) -> None:
        grads, layers = batch.grad_towers[tower], self._params[tower]
        mlp_backward(
            batch.doutputs[tower], x, batch.outputs[tower], layers.weights, self.activation, tower == "shared",
            grads.weights, grads.biases,
        )  # fmt: skip

    def loss(self, batch: Batch, config: PPOConfig) -> np.ndarray:
        """The PPO loss of a minibatch: down the stairs.

        Returns:
            `batch.terms`, the six numbers that `kernels.LOSS_TERMS` names.
        """
        self.forward(batch)
        pi = batch.distribution
        pi.forward(batch.pi_out, batch.actions)
        ppo_loss_forward(
            pi.logprobs, pi.entropies, batch.values,
            batch.old_logprobs, batch.old_values, batch.advantages, batch.returns,
            config.clip_coef, config.ent_coef, config.vf_coef, config.clip_vloss, batch.terms,
        )  # fmt: skip
        return batch.terms

    def loss_and_gradient(self, batch: Batch, config: PPOConfig) -> np.ndarray:
        """The PPO loss of a minibatch and, in `batch.grads`, its gradient: down the stairs and back up.

        Normalises `batch.advantages` in place first if `config.norm_adv`.
        """
        if config.norm_adv:
            normalize(batch.advantages, batch.advantages)
        return self.backpropagate(batch, config, 1.0)

    def backpropagate(self, batch: Batch, config: PPOConfig, dloss: float) -> np.ndarray:
        """As `loss_and_gradient`, with advantages as they are and the upstream gradient `dloss` of the loss."""
        self.loss(batch, config)
        pi = batch.distribution
        ppo_loss_backward(
            dloss, pi.logprobs, batch.values,
            batch.old_logprobs, batch.old_values, batch.advantages, batch.returns,
            config.clip_coef, config.ent_coef, config.vf_coef, config.clip_vloss,
            batch.dlogprobs, batch.dentropies, batch.dvalues,
        )  # fmt: skip
        pi.backward(batch.dlogprobs, batch.dentropies, batch.pi_out, batch.actions, batch.dpi_out)
        self.backward(batch)
        return batch.terms
