"""A policy as plain arrays and a few words: what every exported file holds, whatever its format.

    x = scale obs;  x = clip((x - obs_mean - obs_mean_rest) obs_inv_std, -10, 10)   if observations are normalised
    h = shared layers(x);  out = policy layers(h);  value = value layers(h)

and from `out` the distribution and its deterministic action, by `kind`. Everything is float32, in which the policy
computes; see `numpy_policy.py` for all of it in NumPy.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from kernels.moments import MOMENTS_EPS
from ppo_np.learning.policy import Policy
from ppo_np.network.continuous import Beta, StateSquashed
from ppo_np.network.distributions import Bernoulli, Categorical, MultiCategorical

# What a policy gives beside its actions and values, by `kind`: (B, K) each; see docs/export.md.
DISTRIBUTION_OUTPUTS = {
    "categorical": ("probabilities",),
    "bernoulli": ("probabilities",),
    "gaussian": ("means", "log_std"),
    "squashed": ("means", "log_std"),
    "beta": ("alpha", "beta"),
}


@dataclass(frozen=True, kw_only=True)
class PolicyArrays:
    """A policy without code.

    Attributes:
        kind: categorical, bernoulli, gaussian, squashed or beta.
        activation: relu or tanh, after each hidden layer.
        sizes: outputs of the policy head for each component of the action, as `ActionHead.sizes`.
        shape: of an action; () for Discrete.
        masked: whether the policy was trained with action masks.
        tensors: float32, by the names of `ActorCritic.named`: weights (I, O), biases (O,); tower/head is a tower's last
            layer; policy/log_std (A,), if log_std is a parameter.
        numbers: by name:
            scale: (), factor of the observations: 1/255 for images, else 1.
            obs_mean, obs_mean_rest, obs_inv_std: (D,) float32, only if observations are normalised; the rest is what
                float32 cannot hold of the mean.
            start: the first choice of each component, int64; only for categorical.
            offset, gain, low, high: (A,) float32, only for a Box: an action is clip(offset + gain y, low, high), y
                being the mean of a gaussian, its tanh if squashed, or the mode of a beta distribution in (0, 1).
    """

    kind: str
    activation: str
    sizes: tuple[int, ...]
    shape: tuple[int, ...]
    masked: bool
    tensors: dict[str, np.ndarray]
    numbers: dict[str, np.ndarray]

    @property
    def obs_size(self) -> int:
        """D, the length of a flat observation."""
        return len([*self.layers("shared"), *self.layers("policy")][0][0])

    @property
    def outputs(self) -> int:
        """K, outputs of the policy head."""
        return sum(self.sizes)

    def layers(self, tower: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """Weight (I, O) and bias (O,) of each layer of a tower, shared, policy or value; the head is the last one."""
        return [(self.tensors[f"{name}/weight"], self.tensors[f"{name}/bias"]) for name in self.layer_names(tower)]

    def layer_names(self, tower: str) -> list[str]:
        """The names of the layers of a tower, such as policy/0, in the order of computation."""
        names = [name.removesuffix("/weight") for name in self.tensors if name.endswith("/weight")]
        return [name for name in names if name.startswith(tower)]

    @property
    def is_discrete(self) -> bool:
        """Whether actions are integers."""
        return self.kind in ("categorical", "bernoulli")

    @property
    def has_state_log_std(self) -> bool:
        """Whether every second output is a log_std."""
        return self.kind in ("gaussian", "squashed") and "policy/log_std" not in self.tensors

    @property
    def output_names(self) -> tuple[str, ...]:
        """What the exported policy gives: action, value, and the parameters of the distribution."""
        return ("action", "value", *DISTRIBUTION_OUTPUTS[self.kind])

    def __str__(self) -> str:
        """One line about the network."""
        widths = {tower: [len(bias) for _, bias in self.layers(tower)] for tower in ("shared", "policy", "value")}
        sizes = ", ".join(f"{tower} {sizes}" for tower, sizes in widths.items() if sizes)
        normalised = ", normalised" if "obs_mean" in self.numbers else ""
        return f"{self.obs_size} numbers{normalised} -> {sizes} {self.activation} -> {self.kind}"


def arrays_of(policy: Policy, own_space: spaces.Box | None = None) -> PolicyArrays:
    """The arrays of a policy.

    Args:
        policy: is not changed; arrays are copied.
        own_space: the environment's action space, if the policy's is [-1, 1] (`rescale_actions`); actions are then the
            environment's.
    """
    model, head = policy.model, policy.model.head
    numbers = {"scale": np.array(policy.observations.scale, np.float32)}
    if policy.obs_moments:
        numbers |= _normalization(policy.obs_moments.mean, policy.obs_moments.variance)
    if issubclass(head.kind, Categorical | MultiCategorical):
        kind, start = "categorical", np.reshape(getattr(policy.actions.space, "start", 0), -1)
        numbers["start"] = np.broadcast_to(start, len(head.sizes)).astype(np.int64)
    elif issubclass(head.kind, Bernoulli):
        kind = "bernoulli"
    else:
        kind = "squashed" if issubclass(head.kind, StateSquashed) else "beta" if head.kind is Beta else "gaussian"
        numbers |= _mapping(kind, policy.actions.space, own_space)
    return PolicyArrays(
        kind=kind, activation=policy.config.activation, sizes=head.sizes, shape=policy.actions.shape,
        masked=head.masked, numbers=numbers,
        tensors={name: tensor.copy() for name, tensor in model.named(model.params).items()},
    )  # fmt: skip


def _normalization(mean: np.ndarray, variance: np.ndarray) -> dict[str, np.ndarray]:
    """The running moments, (D,) float64, as float32 numbers with which x - mean keeps its digits near the mean."""
    rounded = mean.astype(np.float32)
    inv_std = 1 / np.sqrt(variance + MOMENTS_EPS)
    rest = (mean - rounded).astype(np.float32)
    return {"obs_mean": rounded, "obs_mean_rest": rest, "obs_inv_std": inv_std.astype(np.float32)}


def _mapping(kind: str, space: Any, own_space: spaces.Box | None) -> dict[str, np.ndarray]:
    """offset, gain, low and high of an action in a Box, (A,) each."""
    own = own_space or space
    low, high = (side.reshape(-1).astype(float) for side in (own.low, own.high))
    if kind == "beta":
        offset, gain = low, high - low
    elif kind == "squashed" or own_space:
        offset, gain = (low + high) / 2, (high - low) / 2
    else:
        offset, gain = np.zeros(low.shape), np.ones(low.shape)
    with np.errstate(over="ignore"):  # bounds beyond float32 are no bounds in it
        sides = {"offset": offset, "gain": gain, "low": low, "high": high}
        return {name: side.astype(np.float32) for name, side in sides.items()}
