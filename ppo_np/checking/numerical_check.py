"""Is the hand-written gradient right? Central differences in float64 of the loss that the forward path computes.

    numeric_i = (L(x + h d_i) - L(x - h d_i)) / 2h,   analytic_i = g . d_i,   d_i a coordinate or a random unit vector

The point x is off-policy on purpose: at ratio 1 and V = V_old, wrong clipping and a wrong ratio show no error at all.
A difference that leads over a kink (of ReLU, of a minimum, of a clip range) means nothing: it is thrown away.
"""

from collections.abc import Iterable
from contextlib import contextmanager

import numpy as np

from kernels.activation import RELU
from kernels.advantage import normalize
from ppo_np.checking.gradient_report import Check, Report, judge
from ppo_np.config import PPOConfig
from ppo_np.environments.make import spaces_of
from ppo_np.environments.spaces import ObservationAdapter
from ppo_np.errors import UserError
from ppo_np.network.action_head import action_head
from ppo_np.network.activations import Activations
from ppo_np.network.minibatch import Minibatch
from ppo_np.network.model import LOG_STD, ActorCritic
from ppo_np.network.threads import blas_threads, limit_blas_threads

H = 1e-5
# Differences of a loss of size 1 carry rounding noise of about 1e-16 / H a number; this is for a whole tensor.
FLOOR = 1e-9
ROWS = 36
# Tensors of more than EVERY numbers are probed at some coordinates and along some directions only.
EVERY, COORDINATES, DIRECTIONS = 64, 24, 8
ATTEMPTS = 20

SURROGATE_REGIONS = ("A>0, r<1-e", "A>0, inside", "A>0, r>1+e: flat", "A<0, r<1-e: flat", "A<0, inside", "A<0, r>1+e")
VALUE_BRANCHES = (
    "V>Vold, inside", "V>Vold, outside", "V>Vold, outside: flat",
    "V<Vold, inside", "V<Vold, outside", "V<Vold, outside: flat",
)  # fmt: skip


class KinkError(Exception):
    """The point lies so close to a kink that differences there mean nothing: draw another."""


def check_gradients(config: PPOConfig) -> Report:
    """Check the gradient of the whole loss for an environment's spaces and a network, at a random off-policy point.

    Args:
        config: gives the environment, the network, the loss and the seed.

    Raises:
        UserError: The environment cannot be made, its spaces are not supported, or no point far from all kinks
            was found.
    """
    observation_space, action_space = spaces_of(config.env_id)
    obs_size, head = ObservationAdapter(observation_space).size, action_head(action_space, config)
    rng = np.random.default_rng(config.seed)
    with limit_blas_threads(blas_threads(config, obs_size)):
        model = ActorCritic(obs_size, head, config, rng, np.float64)
        perturb(model, rng)
        for attempt in range(ATTEMPTS):
            point = Point(model, *off_policy_minibatch(model, config, rng), config, rng)
            branches = count_branches(point.minibatch, point.activations, config)
            try:
                return Report(point.check(), *branches, ROWS, model.params.size, point.floor, point.kinks, attempt + 1)
            except KinkError:
                continue
    raise UserError(f"{ATTEMPTS} points in a row lay within {H:g} of a kink; a larger clip_coef gives more room.")


def perturb(model: ActorCritic, rng: np.random.Generator) -> None:
    """Move all parameters off their initial values: biases off 0, the policy off the uniform one.

    log_std goes near 0, wherever it began: a standard deviation of the size of `H` would bend every difference.
    """
    for name, tensor in model.named(model.params).items():
        if name == LOG_STD:
            tensor[:] = 0
        scale = 0.3 if tensor.ndim == 1 else 0.5 / np.sqrt(tensor.shape[0])
        tensor += scale * rng.standard_normal(tensor.shape)


def off_policy_minibatch(
    model: ActorCritic, config: PPOConfig, rng: np.random.Generator
) -> tuple[Minibatch, Activations]:
    """Draw a minibatch as if collected by another policy: each surrogate region with each value branch, once.

    Returns:
        `ROWS` rows with normal numbers as observations, and the activations after `forward` on them.
    """
    minibatch, activations = model.minibatch(ROWS), model.activations(ROWS)
    e, row, distribution = config.clip_coef, np.arange(ROWS), activations.distribution
    minibatch.obs[:] = rng.standard_normal(minibatch.obs.shape)
    model.forward(minibatch.obs, activations)
    distribution.sample(activations.policy_outputs, rng)
    minibatch.actions[:] = distribution.actions
    distribution.forward(activations.policy_outputs, minibatch.actions)

    sign, side = np.where(row % 2, -1, 1), row // 2 % 3
    u = rng.random((4, ROWS))
    low = (1 - e) * (0.3 + 0.6 * u[0]) if e < 1 else np.ones(ROWS)
    ratio = np.choose(side, [low, np.maximum(1 + e * (1.8 * u[0] - 0.9), 0.1), (1 + e) * (1.1 + 0.9 * u[0])])
    minibatch.old_logprobs[:] = distribution.logprobs - np.log(ratio)
    # Pairs of +A and -A: their mean is 0, so normalising changes no sign.
    minibatch.advantages[:] = sign * (0.5 + 1.5 * np.repeat(u[1, ::2], 2))

    sign, side = np.where(row // 6 % 2, -1, 1), row // 12
    change = sign * e * np.where(side == 0, 0.1 + 0.8 * u[2], 1.1 + 1.9 * u[2])
    minibatch.old_values[:] = activations.values - change
    clipped_values = minibatch.old_values + np.clip(change, -e, e)
    offset, values = sign * (0.5 + u[3]), activations.values
    minibatch.returns[:] = np.choose(side, [values + offset, clipped_values - offset, values + offset])
    return minibatch, activations


@contextmanager
def _frozen(layer):
    """While active, `layer.forward` changes nothing, so that its output can be varied directly."""
    layer.forward = lambda *_: None
    try:
        yield
    finally:
        del layer.forward


class Point:
    """A network and a minibatch, at which the gradient is computed once and compared with many differences."""

    def __init__(
        self,
        model: ActorCritic,
        minibatch: Minibatch,
        activations: Activations,
        config: PPOConfig,
        rng: np.random.Generator,
    ):
        self.model, self.minibatch, self.activations, self.config, self.rng = model, minibatch, activations, config, rng
        self.kinks = 0
        if config.norm_adv:
            normalize(minibatch.advantages, minibatch.advantages)
        _, policy_loss, value_loss, entropy, *_ = np.abs(model.loss_and_gradient(minibatch, activations, config))
        self.floor = FLOOR * max(1.0, policy_loss + config.ent_coef * entropy + config.vf_coef * value_loss)
        self.home = self._branches()

    def _branches(self) -> np.ndarray:
        """Which side of each kink everything is on: ratios, values, hidden units of a ReLU network."""
        sides = np.concatenate(_sides(self.minibatch, self.activations, self.config))
        if self.model.activation != RELU:
            return sides
        outputs = self.activations.outputs
        hidden = [outputs["shared"], *(outputs[tower][:-1] for tower in ("policy", "value"))]
        return np.concatenate([sides, *(h.reshape(-1) > 0 for tower in hidden for h in tower)], dtype=np.int8)

    def check(self) -> list[Check]:
        """Compare the gradient of each loss term and of each parameter tensor.

        Raises:
            KinkError: Too many differences would lead over a kink.
        """
        model, activations = self.model, self.activations
        distribution = activations.distribution
        grads = {name: grad.copy() for name, grad in model.named(model.grads).items()}
        dpolicy_outputs = activations.dpolicy_outputs.copy()
        with _frozen(model):
            with _frozen(distribution):  # the loss as a function of log-probabilities, entropies and values
                checks = [
                    self._compare("policy_loss/dlogprobs", distribution.logprobs, activations.dlogprobs),
                    self._compare("entropy/dentropies", distribution.entropies, activations.dentropies),
                    self._compare("value_loss/dvalues", activations.values, activations.dvalues.copy()),
                ]
            name = f"loss/d{distribution.output_name}"
            checks.append(self._compare(name, activations.policy_outputs, dpolicy_outputs))
        params = model.named(model.params)
        return checks + [self._compare(name, params[name], grads[name]) for name in reversed(params)]

    def _compare(self, name: str, x: np.ndarray, gradient: np.ndarray) -> Check:
        """Probe one tensor: every coordinate if it is small, a random choice and random directions if it is large."""
        size = x.size
        if size <= EVERY:
            measured = self._measure(x, gradient, ((i, _coordinate(i)) for i in range(size)), size)
        else:
            some = self.rng.choice(size, min(size, 3 * COORDINATES), replace=False)
            measured = self._measure(x, gradient, ((i, _coordinate(i)) for i in some), COORDINATES)
            directions = ((None, (slice(None), _unit_vector(size, self.rng))) for _ in range(3 * DIRECTIONS))
            measured += self._measure(x, gradient, directions, DIRECTIONS)
        return judge(name, gradient, measured, self.floor, ROWS)

    def _measure(self, x: np.ndarray, gradient: np.ndarray, probes: Iterable, count: int) -> list[tuple]:
        """(coordinate or None, analytic, numeric) of the first `count` probes that lead over no kink."""
        flat, slopes, measured = x.reshape(-1), gradient.reshape(-1), []
        for coordinate, (where, direction) in probes:
            numeric = self._difference(flat, where, direction)
            if numeric is None:
                self.kinks += 1
                continue
            measured.append((coordinate, slopes[where] @ direction, numeric))
            if len(measured) == count:
                return measured
        raise KinkError

    def _difference(self, flat: np.ndarray, where: slice, direction: np.ndarray) -> float | None:
        """Central difference of the loss when `flat[where]` moves along `direction`; None over a kink."""
        home, losses, smooth = flat[where].copy(), [], True
        for step in (H, -H):
            flat[where] = home + step * direction
            losses.append(self.model.loss(self.minibatch, self.activations, self.config)[0])
            smooth = smooth and np.array_equal(self._branches(), self.home)
        flat[where] = home
        return (losses[0] - losses[1]) / (2 * H) if smooth else None


def _coordinate(i: int) -> tuple[slice, np.ndarray]:
    """Coordinate i of a flat tensor as a part of it and a direction in that part."""
    return slice(i, i + 1), np.ones(1)


def _unit_vector(size: int, rng: np.random.Generator) -> np.ndarray:
    """A direction in `size` dimensions, each equally likely; a derivative along it is as large as by a coordinate."""
    normals = rng.standard_normal(size)
    return normals / np.linalg.norm(normals)


def _sides(minibatch: Minibatch, activations: Activations, config: PPOConfig) -> tuple[np.ndarray, np.ndarray]:
    """For each row: ratio below (0), inside (1), above (2) its clip range; value inside (0), outside (1), and flat (2).

    Flat is the value loss where the clipped value has the larger error.
    """
    e = config.clip_coef
    ratio = np.exp(activations.distribution.logprobs - minibatch.old_logprobs)
    change = activations.values - minibatch.old_values
    clipped_values = minibatch.old_values + np.clip(change, -e, e)
    outside = np.abs(change) > e
    flat = outside & (np.abs(clipped_values - minibatch.returns) > np.abs(activations.values - minibatch.returns))
    return np.digitize(ratio, [1 - e, 1 + e]), outside + flat.astype(int)


def count_branches(
    minibatch: Minibatch, activations: Activations, config: PPOConfig
) -> tuple[dict[str, int], dict[str, int]]:
    """Rows of a minibatch in each of the `SURROGATE_REGIONS`, and in each of the `VALUE_BRANCHES`."""
    ratio_sides, value_sides = _sides(minibatch, activations, config)
    regions = np.bincount(ratio_sides + 3 * (minibatch.advantages < 0), minlength=6)
    branches = np.bincount(value_sides + 3 * (activations.values < minibatch.old_values), minlength=6)
    return (
        dict(zip(SURROGATE_REGIONS, regions.tolist(), strict=True)),
        dict(zip(VALUE_BRANCHES, branches.tolist(), strict=True)),
    )
