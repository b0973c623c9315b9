"""The whole loss once more, in plain NumPy and in complex numbers: an oracle that shares no line with the kernels.

The imaginary part of L(x + ih) divided by h is the derivative without any difference being taken, so h may be 1e-30 and
nothing cancels (Squire and Trapp 1998). Branches are taken by the real part.
"""

import itertools
import math

import numpy as np
from points import Point

from ppo_np.network.distributions import Bernoulli, Categorical, Gaussian, MultiCategorical

H = 1e-30


def derivative(point: Point, direction: np.ndarray) -> float:
    """Derivative of the loss by the parameters along `direction`, (P,)."""
    return float(np.imag(loss(point, point.model.params + 1j * H * direction)) / H)


def gradient(point: Point) -> np.ndarray:
    """Derivative of the loss by every parameter, (P,)."""
    return np.array([derivative(point, unit) for unit in np.eye(point.model.params.size)])


def loss(point: Point, params: np.ndarray) -> complex:
    """The PPO loss at complex parameters, from the formulas of docs/gradients.md; advantages as they are."""
    model, minibatch, _, config = point
    tensors = model.named(params)
    features = tower(tensors, "shared", minibatch.obs, config.activation)
    policy_outputs = tower(tensors, "policy", features, config.activation)
    values = tower(tensors, "value", features, config.activation)[:, 0]

    more = model.head.sizes, tensors, minibatch.action_mask
    logprobs, entropies = DISTRIBUTIONS[model.head.kind](policy_outputs, minibatch.actions, *more)

    ratio = np.exp(logprobs - minibatch.old_logprobs)
    policy_loss = larger(-minibatch.advantages * ratio, -minibatch.advantages * clip(ratio, 1, config.clip_coef)).mean()
    errors = (values - minibatch.returns) ** 2
    if config.clip_vloss:
        clipped = clip(values, minibatch.old_values, config.value_clip)
        errors = larger(errors, (clipped - minibatch.returns) ** 2)
    return policy_loss - config.ent_coef * entropies.mean() + config.vf_coef * 0.5 * errors.mean()


def categorical(logits, actions, sizes, tensors, mask):
    """Log-probabilities of the actions and entropies, (B,) each, like the three below."""
    weights = np.exp(logits) if mask is None else np.where(mask, np.exp(logits), 0)
    p = weights / weights.sum(axis=1, keepdims=True)
    return np.log(p[np.arange(len(p)), actions]), -(p * np.log(np.where(p == 0, 1, p))).sum(axis=1)


def multi_categorical(logits, actions, sizes, tensors, mask):
    """One categorical distribution over all combinations of choices, each with the sum of its choices' logits."""
    offsets = np.cumsum(sizes) - sizes
    combinations = np.array(list(itertools.product(*map(range, sizes))))
    joint = logits[:, combinations + offsets].sum(axis=2)
    taken = (combinations == actions[:, np.newaxis]).all(axis=2).argmax(axis=1)
    all_valid = None if mask is None else mask[:, combinations + offsets].all(axis=2)
    return categorical(joint, taken, None, tensors, all_valid)


def bernoulli(logits, actions, sizes, tensors, mask):
    """Bits, by the probability q of a one."""
    q = 1 / (1 + np.exp(-logits))
    return np.log(np.where(actions == 1, q, 1 - q)).sum(axis=1), -(q * np.log(q) + (1 - q) * np.log(1 - q)).sum(axis=1)


def gaussian(means, actions, sizes, tensors, mask):
    """Normal densities, multiplied; the entropy is the logarithm of the volume sqrt(det(2 pi e Sigma))."""
    std = np.exp(tensors["policy/log_std"])
    densities = np.exp(-((actions - means) ** 2) / (2 * std**2)) / (std * math.sqrt(2 * math.pi))
    volume = np.sqrt((2 * math.pi * math.e * std**2).prod())
    return np.log(densities.prod(axis=1)), np.log(np.full(len(means), volume))


DISTRIBUTIONS = {
    Categorical: categorical, MultiCategorical: multi_categorical, Bernoulli: bernoulli, Gaussian: gaussian,
}  # fmt: skip


def tower(tensors: dict, name: str, x: np.ndarray, activation: str) -> np.ndarray:
    """Run the layers whose tensors' names begin with `name`; the head is linear."""
    for key, weight in tensors.items():
        if key.startswith(name) and key.endswith("weight"):
            x = x @ weight + tensors[key.replace("weight", "bias")]
            if "head" not in key:
                x = np.tanh(x) if activation == "tanh" else np.where(x.real > 0, x, 0)
    return x


def larger(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The one with the larger real part."""
    return np.where(x.real >= y.real, x, y)


def clip(x: np.ndarray, center, e: float) -> np.ndarray:
    """x, where its real part lies within `center` +- e, and the bound where it does not."""
    return np.where(x.real > center + e, center + e, np.where(x.real < center - e, center - e, x))
