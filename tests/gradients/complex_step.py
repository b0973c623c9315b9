"""The whole loss once more, in plain NumPy and in complex numbers: an oracle that shares no line with the kernels.

The imaginary part of L(x + ih) divided by h is the derivative without any difference being taken, so h may be 1e-30 and
nothing cancels (Squire and Trapp 1998). Branches are taken by the real part.
"""

import itertools
import math

import numpy as np
from points import Point
from scipy.special import loggamma, psi

from ppo_np.network.continuous import Beta, Squashed, StateGaussian, StateSquashed
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

    more = model.head, tensors, minibatch.action_mask
    logprobs, entropies = DISTRIBUTIONS[model.head.kind](policy_outputs, minibatch.actions, *more)

    ratio = np.exp(logprobs - minibatch.old_logprobs)
    policy_loss = larger(-minibatch.advantages * ratio, -minibatch.advantages * clip(ratio, 1, config.clip_coef)).mean()
    errors = (values - minibatch.returns) ** 2
    if config.clip_vloss:
        clipped = clip(values, minibatch.old_values, config.value_clip)
        errors = larger(errors, (clipped - minibatch.returns) ** 2)
    return policy_loss - config.ent_coef * entropies.mean() + config.vf_coef * 0.5 * errors.mean()


def categorical(logits, actions, head, tensors, mask):
    """Log-probabilities of the actions and entropies, (B,) each, like those below."""
    weights = np.exp(logits) if mask is None else np.where(mask, np.exp(logits), 0)
    p = weights / weights.sum(axis=1, keepdims=True)
    return np.log(p[np.arange(len(p)), actions]), -(p * np.log(np.where(p == 0, 1, p))).sum(axis=1)


def multi_categorical(logits, actions, head, tensors, mask):
    """One categorical distribution over all combinations of choices, each with the sum of its choices' logits."""
    sizes = head.sizes
    offsets = np.cumsum(sizes) - sizes
    combinations = np.array(list(itertools.product(*map(range, sizes))))
    joint = logits[:, combinations + offsets].sum(axis=2)
    taken = (combinations == actions[:, np.newaxis]).all(axis=2).argmax(axis=1)
    all_valid = None if mask is None else mask[:, combinations + offsets].all(axis=2)
    return categorical(joint, taken, None, tensors, all_valid)


def bernoulli(logits, actions, head, tensors, mask):
    """Bits, by the probability q of a one."""
    q = 1 / (1 + np.exp(-logits))
    return np.log(np.where(actions == 1, q, 1 - q)).sum(axis=1), -(q * np.log(q) + (1 - q) * np.log(1 - q)).sum(axis=1)


def gaussian(means, actions, head, tensors, mask):
    """Normal densities, multiplied; the entropy is the logarithm of the volume sqrt(det(2 pi e Sigma))."""
    std = np.exp(tensors["policy/log_std"])
    densities = np.exp(-((actions - means) ** 2) / (2 * std**2)) / (std * math.sqrt(2 * math.pi))
    volume = np.sqrt((2 * math.pi * math.e * std**2).prod())
    return np.log(densities.prod(axis=1)), np.log(np.full(len(means), volume))


def state_gaussian(outputs, actions, head, tensors, mask):
    """As `gaussian`, with every second output as log_std; the entropy of each row is a sum of logarithms."""
    means, std = outputs[:, 0::2], np.exp(outputs[:, 1::2])
    densities = np.exp(-((actions - means) ** 2) / (2 * std**2)) / (std * math.sqrt(2 * math.pi))
    return np.log(densities).sum(axis=1), np.log(std * math.sqrt(2 * math.pi * math.e)).sum(axis=1)


def state_squashed(outputs, actions, head, tensors, mask):
    """The density of the latent number over the slope of tanh; the entropy with the slope at a sample."""
    u, xi = np.split(actions, 2, axis=1)
    logprobs, entropies = state_gaussian(outputs, u, head, tensors, mask)
    half_width = (np.array(head.bounds[1]) - head.bounds[0]) / 2
    sample = outputs[:, 0::2] + np.exp(outputs[:, 1::2]) * xi
    slopes = [np.log(half_width / np.cosh(latent) ** 2).sum(axis=1) for latent in (u, sample)]
    return logprobs - slopes[0], entropies + slopes[1]


def squashed(means, actions, head, tensors, mask):
    """As `state_squashed`, with the same log_std in each row."""
    outputs = np.stack([means, means * 0 + tensors["policy/log_std"]], axis=2).reshape(len(means), -1)
    return state_squashed(outputs, actions, head, tensors, mask)


def beta(outputs, actions, head, tensors, mask):
    """The density with SciPy's functions of complex numbers; E[log x] = psi(alpha) - psi(alpha + beta)."""
    low, high = np.array(head.bounds)
    parameters = 1 + np.log(1 + np.exp(outputs))
    alpha, beta = parameters[:, 0::2], parameters[:, 1::2]
    log_b = loggamma(alpha) + loggamma(beta) - loggamma(alpha + beta) + np.log(high - low)
    logprobs = (alpha - 1) * np.log(actions) + (beta - 1) * np.log(1 - actions) - log_b
    mean_log, mean_log_1 = (psi(one) - psi(alpha + beta) for one in (alpha, beta))
    return logprobs.sum(axis=1), (log_b - (alpha - 1) * mean_log - (beta - 1) * mean_log_1).sum(axis=1)


DISTRIBUTIONS = {
    Categorical: categorical, MultiCategorical: multi_categorical, Bernoulli: bernoulli, Gaussian: gaussian,
    StateGaussian: state_gaussian, Squashed: squashed, StateSquashed: state_squashed, Beta: beta,
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
