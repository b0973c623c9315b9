"""The actor-critic network: a shared trunk, a policy tower and a value tower on one flat parameter vector.

    obs -> [shared layers] -> h -> [policy layers] -> policy head -> policy_outputs -> distribution -> logprobs, ...
                                -> [value layers]  -> value head  -> values

policy_outputs are the parameters of the distribution: logits, or the means of a Gaussian, whose log_std is one more
parameter tensor, or as many numbers as the distribution needs. The backward pass takes the same steps in reverse order.
Both towers take the trunk's output h as input, so the gradient with respect to h is the sum of their gradients.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from kernels.acting import FROM_OBS, TO_POLICY_OUTPUTS, TO_VALUES, acting_forward
from kernels.activation import activation_number
from kernels.initializer import orthogonal
from kernels.linear import linear_backward_input
from kernels.loss import LOSS_TERMS, ppo_loss_backward, ppo_loss_forward
from kernels.mlp import mlp_backward, mlp_forward
from ppo_np.config import PPOConfig
from ppo_np.network.action_head import ActionHead
from ppo_np.network.activations import Activations, Tower
from ppo_np.network.distributions import Distribution
from ppo_np.network.minibatch import Minibatch

HIDDEN_GAIN, POLICY_GAIN, VALUE_GAIN = math.sqrt(2), 0.01, 1.0
LOG_STD, HEAD_BIAS = "policy/log_std", "policy/head/bias"
HEAD_TARGETS = {"policy/head/weight": TO_POLICY_OUTPUTS, "value/head/weight": TO_VALUES}


class ActorCritic:
    """Policy and value network whose gradients are written by hand.

    Args:
        obs_size: D >= 1, length of a flat observation.
        head: the distribution, and how many outputs it needs.
        config: gives the sizes of the layers, the activation and the initial log_std.
        rng: draws the initial weights; None leaves all parameters 0.
        dtype: float32 to train, float64 to check gradients.

    Attributes:
        params, grads: flat vectors of P numbers; `named(params)` gives the tensors in them.
        grads_and_terms: `grads` and room for the loss terms behind it, so that ranks sum both in one array.
        layers, policy_layers, value_layers: (L, 5), all layers as `acting_forward` takes them, those that the policy
            needs, and those that only the value has.
        scratch_size: numbers of scratch that `acting_forward` needs for each row.
        value_start: index of the first parameter that only the value has: those of its layers are the last ones.
    """

    def __init__(
        self,
        obs_size: int,
        head: ActionHead,
        config: PPOConfig,
        rng: np.random.Generator | None,
        dtype: DTypeLike = np.float32,
    ):
        self.obs_size = obs_size
        self.head = head
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
        self.layers = self._layer_table()
        self.policy_layers, self.value_layers = np.split(self.layers, [-len(self.sizes["value"])])
        self.value_start = sum(math.prod(shape) for name, shape in self.shapes.items() if not name.startswith("value/"))
        self.scratch_size = sum(sum(widths[:-1]) for widths in self.sizes.values()) + sum(config.shared_sizes[-1:])
        self._make_views()
        if rng is not None:
            self.initialize(rng, config.log_std_init)

    @property
    def separate(self) -> bool:
        """Whether policy and value share no layer."""
        return not self.sizes["shared"]

    def _make_views(self) -> None:
        """Make what only shows parts of the flat vectors."""
        self.grads = self.grads_and_terms[: self.params.size]
        self._params, self._grad_towers = self.towers(self.params), self.towers(self.grads)

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles hold: the flat vectors without the views, which would become arrays of their own."""
        views = "grads", "_params", "_grad_towers"
        return {name: value for name, value in self.__dict__.items() if name not in views}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the views again, of the copy's own vectors."""
        self.__dict__.update(state)
        self._make_views()

    def _tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes by name, in the order of the flat vector: tower/layer/weight, tower/layer/bias, policy/log_std."""
        shapes: dict[str, tuple[int, ...]] = {}
        features = self.sizes["shared"][-1] if self.sizes["shared"] else self.obs_size
        for tower, widths in self.sizes.items():
            fan_in = self.obs_size if tower == "shared" else features
            for layer, width in enumerate(widths):
                head = tower != "shared" and layer == len(widths) - 1
                name = f"{tower}/head" if head else f"{tower}/{layer}"
                shapes[f"{name}/weight"] = (fan_in, width)
                shapes[f"{name}/bias"] = (width,)
                fan_in = width
            if tower == "policy" and self.head.has_log_std:
                shapes[LOG_STD] = (self.head.outputs,)
        return shapes

    def _layer_table(self) -> np.ndarray:
        """(L, 5): the layers as `acting_forward` takes them."""
        table = []
        start = 0  # of the tensor in the flat vector
        used = 0  # numbers per row of scratch
        source = dict.fromkeys(self.sizes, FROM_OBS)  # where the next layer of each tower finds its input in scratch
        for name, shape in self.shapes.items():
            tower = name.partition("/")[0]
            if name.endswith("weight"):
                target = HEAD_TARGETS.get(name, used)
                table.append((start, *shape, source[tower], target))
                if name not in HEAD_TARGETS:
                    source |= dict.fromkeys(self.sizes if tower == "shared" else (tower,), target)
                    used += shape[1]
            start += math.prod(shape)
        return np.array(table, np.int64)

    def named(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Views of a flat vector (P,) as the named tensors of the network: weights (I, O), biases (O,)."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes.values()])
        parts = zip(self.shapes.items(), np.split(flat, ends[:-1]), strict=True)
        return {name: part.reshape(shape) for (name, shape), part in parts}

    def towers(self, flat: np.ndarray) -> dict[str, Tower]:
        """Views of a flat vector (P,) as the layers of each tower."""
        tensors = self.named(flat)

        def of(tower: str, kind: str) -> tuple[np.ndarray, ...]:
            return tuple(t for name, t in tensors.items() if name.startswith(tower) and name.endswith(kind))

        return {tower: Tower(of(tower, "weight"), of(tower, "bias")) for tower in self.sizes}

    def initialize(self, rng: np.random.Generator, log_std_init: float) -> None:
        """Set orthogonal weights (gain sqrt(2) hidden, 0.01 policy head, 1 value head), zero biases, and log_std.

        The biases of outputs that are a log_std are `log_std_init`.
        """
        gains = {"policy/head/weight": POLICY_GAIN, "value/head/weight": VALUE_GAIN}
        for name, tensor in self.named(self.params).items():
            if name.endswith("bias"):
                tensor[:] = 0
                if name == HEAD_BIAS and self.head.kind.has_state_log_std:
                    tensor[1::2] = log_std_init
            elif name == LOG_STD:
                tensor[:] = log_std_init
            else:
                normals = rng.standard_normal((max(tensor.shape), min(tensor.shape)))
                orthogonal(normals, gains.get(name, HIDDEN_GAIN), tensor)

    def actions(self, *shape: int) -> np.ndarray:
        """Preallocate actions, (*shape, ...)."""
        actions = self.distribution(1).actions
        return np.zeros((*shape, *actions.shape[1:]), actions.dtype)

    def minibatch(self, rows: int) -> Minibatch:
        """Preallocate a minibatch of `rows` rows."""
        obs = np.zeros((rows, self.obs_size), self.dtype)
        mask = np.ones((rows, self.head.outputs), np.int8) if self.head.masked else None
        return Minibatch(obs, self.actions(rows), np.zeros((4, rows), self.dtype), action_mask=mask)

    def activations(self, rows: int, grads: np.ndarray | None = None, larger: Activations | None = None) -> Activations:
        """Preallocate the workspace for `rows` rows.

        Args:
            grads: (P,), where the gradient goes; None takes the model's own.
            larger: workspace that lends its first rows instead of new arrays; use only one of the two at a time.
        """
        towers = self._grad_towers if grads is None else self.towers(grads)
        return Activations(rows, self.sizes, self.distribution(rows, grads), towers, self.dtype, larger)

    def distribution(self, rows: int, grads: np.ndarray | None = None) -> Distribution:
        """The distribution over the actions of `rows` rows.

        A Gaussian's log_std is a view into the parameters, its gradient a view into `grads`, (P,), or the model's own.
        """
        head = self.head
        more: dict[str, Any] = {"bounds": head.bounds} if head.kind.is_bounded else {}
        if head.has_log_std:
            flats = {"log_std": self.params, "dlog_std": self.grads if grads is None else grads}
            more |= {name: self.named(flat)[LOG_STD] for name, flat in flats.items()}
        return head.kind(head.sizes, rows, self.dtype, **more)

    def act(self, obs: np.ndarray, limit: float, activations: Activations, policy_only: bool = False) -> int:
        """As `forward`, but do not keep the outputs of the hidden layers, and check all numbers.

        With `policy_only`, the values are not computed.

        Returns:
            -1 if all is well; -2 if an output is not finite; else the flat index of the first |obs| > limit (or NaN).
        """
        return acting_forward(
            self.params, self.policy_layers if policy_only else self.layers, obs, limit, self.activation,
            self.scratch(activations), activations.policy_outputs, activations.values,
        )  # fmt: skip

    def evaluate(self, obs: np.ndarray, limit: float, scratch: np.ndarray, values: np.ndarray) -> int:
        """Compute the values, (B,), of a network that is `separate`, and nothing else; returns as `act`.

        `scratch` is overwritten: B `scratch_size` numbers.
        """
        no_outputs = np.zeros((0, 0), self.dtype)
        return acting_forward(
            self.params, self.value_layers, obs, limit, self.activation, scratch, no_outputs, values
        )  # fmt: skip

    def scratch(self, activations: Activations) -> np.ndarray:
        """`activations.scratch`, made longer if `acting_forward` needs more."""
        if len(activations.scratch) < activations.rows * self.scratch_size:
            activations.scratch = np.zeros(activations.rows * self.scratch_size, self.dtype)
        return activations.scratch

    def forward(self, obs: np.ndarray, activations: Activations) -> None:
        """Compute `activations.policy_outputs` and `activations.values` from observations, (B, D)."""
        if self.sizes["shared"]:
            self._forward_tower("shared", obs, activations)
        features = self._features(obs, activations)
        self._forward_tower("policy", features, activations)
        self._forward_tower("value", features, activations)

    def backward(self, obs: np.ndarray, activations: Activations) -> None:
        """Compute the gradient with respect to the parameters from `activations.dpolicy_outputs` and `.dvalues`."""
        features, doutputs = self._features(obs, activations), activations.doutputs
        self._backward_tower("policy", features, activations)
        self._backward_tower("value", features, activations)
        if self.sizes["shared"]:
            # h is the input of both towers: dh = dh_policy + dh_value
            dfeatures = doutputs["shared"][-1]
            linear_backward_input(doutputs["policy"][0], self._params["policy"].weights[0], dfeatures)
            linear_backward_input(doutputs["value"][0], self._params["value"].weights[0], activations.dfeatures)
            dfeatures += activations.dfeatures
            self._backward_tower("shared", obs, activations)

    def _features(self, obs: np.ndarray, activations: Activations) -> np.ndarray:
        """h: the trunk's output, or the observations if there is no trunk."""
        return activations.outputs["shared"][-1] if self.sizes["shared"] else obs

    def _forward_tower(self, tower: str, x: np.ndarray, activations: Activations) -> None:
        layers = self._params[tower]
        mlp_forward(x, layers.weights, layers.biases, self.activation, tower == "shared", activations.outputs[tower])

    def _backward_tower(self, tower: str, x: np.ndarray, activations: Activations) -> None:
        grads = activations.grad_towers[tower]
        mlp_backward(
            activations.doutputs[tower], x, activations.outputs[tower], self._params[tower].weights, self.activation,
            tower == "shared", grads.weights, grads.biases,
        )  # fmt: skip

    def loss(self, minibatch: Minibatch, activations: Activations, config: PPOConfig) -> np.ndarray:
        """The PPO loss of a minibatch by a forward pass; returns `activations.loss_terms`, (6,)."""
        self.forward(minibatch.obs, activations)
        distribution = activations.distribution
        distribution.forward(activations.policy_outputs, minibatch.actions, minibatch.action_mask)
        ppo_loss_forward(
            distribution.logprobs, distribution.entropies, activations.values,
            minibatch.old_logprobs, minibatch.old_values, minibatch.advantages, minibatch.returns,
            config.clip_coef, config.ent_coef, config.vf_coef, config.clip_vloss, config.value_clip,
            activations.loss_terms,
        )  # fmt: skip
        return activations.loss_terms

    def loss_and_gradient(
        self, minibatch: Minibatch, activations: Activations, config: PPOConfig, dloss: float = 1.0
    ) -> np.ndarray:
        """The PPO loss of a minibatch and, in the `grads` of `activations`, its gradient.

        Args:
            minibatch: B rows; the advantages are used as they are.
            activations: workspace for B rows.
            config: gives the coefficients of the loss.
            dloss: upstream gradient of the loss.

        Returns:
            `activations.loss_terms`, (6,): the numbers that `LOSS_TERMS` names.
        """
        loss_terms = self.loss(minibatch, activations, config)
        distribution = activations.distribution
        ppo_loss_backward(
            dloss, distribution.logprobs, activations.values,
            minibatch.old_logprobs, minibatch.old_values, minibatch.advantages, minibatch.returns,
            config.clip_coef, config.ent_coef, config.vf_coef, config.clip_vloss, config.value_clip,
            activations.dlogprobs, activations.dentropies, activations.dvalues,
        )  # fmt: skip
        distribution.backward(
            activations.dlogprobs, activations.dentropies, activations.policy_outputs, minibatch.actions,
            activations.dpolicy_outputs, minibatch.action_mask,
        )  # fmt: skip
        self.backward(minibatch.obs, activations)
        return loss_terms
