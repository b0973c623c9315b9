"""Check the hand-written gradient by central differences of the loss in float64.

    numeric_i = (L(x + h d_i) - L(x - h d_i)) / 2h,   analytic_i = g . d_i,   d_i a coordinate or a random unit vector

The point x is off-policy, because at ratio 1 and V = V_old, wrong clipping and a wrong ratio show no error.
A difference across a kink (of ReLU, of a minimum, of a clip range) is not a derivative: it is discarded.
"""

from collections.abc import Iterable, Sequence
from unittest.mock import patch

import numpy as np

from kernels.activation import RELU
from kernels.advantage import normalize
from ppo_np.checking.branches import count_branches, sides
from ppo_np.checking.gradient_diagnosis import explained, turns
from ppo_np.checking.gradient_report import Check, Probe, Report, judge
from ppo_np.checking.gradient_step import BackwardPass
from ppo_np.config import PPOConfig
from ppo_np.environments.make import spaces_of
from ppo_np.environments.spaces import ObservationAdapter
from ppo_np.errors import UserError
from ppo_np.network.action_head import action_head
from ppo_np.network.activations import Activations
from ppo_np.network.continuous import StateSquashed
from ppo_np.network.minibatch import Minibatch
from ppo_np.network.model import ActorCritic
from ppo_np.network.threads import blas_threads, limit_blas_threads

Direction = tuple[int | None, slice, np.ndarray]  # coordinate or None, a part of a flat tensor, direction in the part

H = 1e-5
# A difference of a loss of size 1 has a rounding error of about 1e-16 / H per number; this is for a whole tensor.
FLOOR = 1e-9
ROWS = 36
# Tensors of more than EVERY numbers are only checked at some coordinates and along some directions.
EVERY, COORDINATES, DIRECTIONS = 64, 24, 8
ATTEMPTS = 20


class KinkError(Exception):
    """The point lies too close to a kink for differences: draw another point."""


def check_gradients(config: PPOConfig) -> Report:
    """Check the gradient of the whole loss at a random off-policy point.

    Raises UserError if the environment cannot be made, if its spaces are not supported, or if all points lie at kinks.
    """
    observation_space, action_space = spaces_of(config)
    obs_size, head = ObservationAdapter(observation_space).size, action_head(action_space, config)
    rng = np.random.default_rng(config.seed)
    with limit_blas_threads(blas_threads(config, obs_size)):
        model = ActorCritic(obs_size, head, config, rng, np.float64)
        perturb(model, rng)
        for attempt in range(ATTEMPTS):
            point = Point(model, *off_policy_minibatch(model, config, rng), config, rng)
            branches = count_branches(point.minibatch, point.activations, config)
            try:
                checks = point.check()
            except KinkError:
                continue
            places = turns(checks, model, point.outputs_row)
            size = model.params.size
            return Report(checks, *branches, ROWS, size, point.floor, point.kinks, attempt + 1, places)
    raise UserError(f"{ATTEMPTS} points in a row lay within {H:g} of a kink; a larger clip_coef gives more room.")


def perturb(model: ActorCritic, rng: np.random.Generator) -> None:
    """Add noise to all parameters, so that biases are not 0 and the policy is not uniform.

    log_std is set close to 0 first, also where it is a bias: with a standard deviation as small as `H`, the differences
    would be inaccurate.
    """
    for tensor in model.named(model.params).values():
        if tensor.ndim == 1:
            tensor[:] = 0
        scale = 0.3 if tensor.ndim == 1 else 0.5 / np.sqrt(tensor.shape[0])
        tensor += scale * rng.standard_normal(tensor.shape)


def off_policy_minibatch(
    model: ActorCritic, config: PPOConfig, rng: np.random.Generator
) -> tuple[Minibatch, Activations]:
    """Draw `ROWS` rows as if another policy had collected them, with normal numbers as observations.

    Each surrogate region occurs once with each value branch. The activations are those after `forward` on these rows.
    """
    minibatch, activations = model.minibatch(ROWS), model.activations(ROWS)
    distribution = activations.distribution
    e, value_e = config.clip_coef, config.value_clip
    row = np.arange(ROWS)
    minibatch.obs[:] = rng.standard_normal(minibatch.obs.shape)
    model.forward(minibatch.obs, activations)
    if minibatch.action_mask is not None:
        draw_masks(minibatch.action_mask, model.head.sizes, rng)
    distribution.sample(activations.policy_outputs, rng, minibatch.action_mask)
    minibatch.actions[:] = distribution.actions
    if isinstance(distribution, StateSquashed):
        separate_noise(minibatch.actions)
    distribution.forward(activations.policy_outputs, minibatch.actions, minibatch.action_mask)

    sign, side = np.where(row % 2, -1, 1), row // 2 % 3
    u = rng.random((4, ROWS))
    low = (1 - e) * (0.3 + 0.6 * u[0]) if e < 1 else np.ones(ROWS)
    ratio = np.choose(side, [low, np.maximum(1 + e * (1.8 * u[0] - 0.9), 0.1), (1 + e) * (1.1 + 0.9 * u[0])])
    minibatch.old_logprobs[:] = distribution.logprobs - np.log(ratio)
    # Pairs of +A and -A have mean 0, so normalising changes no sign.
    minibatch.advantages[:] = sign * (0.5 + 1.5 * np.repeat(u[1, ::2], 2))

    sign, side = np.where(row // 6 % 2, -1, 1), row // 12
    change = sign * value_e * np.where(side == 0, 0.1 + 0.8 * u[2], 1.1 + 1.9 * u[2])
    minibatch.old_values[:] = activations.values - change
    clipped_values = minibatch.old_values + np.clip(change, -value_e, value_e)
    offset, values = sign * (0.5 + u[3]), activations.values
    minibatch.returns[:] = np.choose(side, [values + offset, clipped_values - offset, values + offset])
    return minibatch, activations


def draw_masks(action_mask: np.ndarray, sizes: Sequence[int], rng: np.random.Generator) -> None:
    """Fill action masks, (B, K), at random; in each component of the action, of so many choices, one is valid."""
    action_mask[:] = rng.random(action_mask.shape) < 0.5
    rows = np.arange(len(action_mask))
    for start, size in zip(np.cumsum(sizes) - sizes, sizes, strict=True):
        action_mask[rows, start + rng.integers(size, size=len(rows))] = 1


def separate_noise(actions: np.ndarray) -> None:
    """Give the stored actions u, xi of a squashed Gaussian, (B, 2 A), the xi of other rows.

    Then mu + sigma xi is not u, as after a step of gradient descent, and the two cannot be exchanged.
    """
    components = actions.shape[1] // 2
    actions[:, components:] = actions[::-1, components:].copy()


class Point:
    """A network and a minibatch. The gradient is computed once here and compared with many differences."""

    def __init__(
        self, model: ActorCritic, minibatch: Minibatch, activations: Activations, config: PPOConfig,
        rng: np.random.Generator,
    ):  # fmt: skip
        self.model, self.config, self.rng = model, config, rng
        self.minibatch, self.activations = minibatch, activations
        self.outputs_row = f"loss/d{activations.distribution.output_name}"
        self.kinks = 0
        self._gradients: dict[str, np.ndarray] = {}
        self._probes: dict[str, list[Probe]] = {}
        if config.norm_adv:
            normalize(minibatch.advantages, minibatch.advantages)
        _, policy_loss, value_loss, entropy, *_ = np.abs(model.loss_and_gradient(minibatch, activations, config))
        self.floor = FLOOR * max(1.0, policy_loss + config.ent_coef * entropy + config.vf_coef * value_loss)
        self.sides = self._all_sides()

    def _all_sides(self) -> np.ndarray:
        """The side of each kink on which each ratio, each value and each hidden unit of a ReLU network is."""
        of_loss = np.concatenate(sides(self.minibatch, self.activations, self.config))
        if self.model.activation != RELU:
            return of_loss
        outputs = self.activations.outputs
        hidden = [outputs["shared"], *(outputs[tower][:-1] for tower in ("policy", "value"))]
        return np.concatenate([of_loss, *(h.reshape(-1) > 0 for tower in hidden for h in tower)], dtype=np.int8)

    def check(self) -> list[Check]:
        """Compare the gradient of each loss term and each parameter tensor. Raises KinkError if a kink is too near."""
        model, activations = self.model, self.activations
        distribution = activations.distribution
        grads = {name: grad.copy() for name, grad in model.named(model.grads).items()}
        dpolicy_outputs = activations.dpolicy_outputs.copy()
        # Without `forward`, the loss is a function of the network's outputs, or of the distribution's outputs.
        with patch.object(model, "forward", lambda *_: None):
            with patch.object(distribution, "forward", lambda *_: None):
                checks = [
                    self._compare("policy_loss/dlogprobs", distribution.logprobs, activations.dlogprobs),
                    self._compare("entropy/dentropies", distribution.entropies, activations.dentropies),
                    self._compare("value_loss/dvalues", activations.values, activations.dvalues.copy()),
                ]
            checks.append(self._compare(self.outputs_row, activations.policy_outputs, dpolicy_outputs, every=True))
        params = model.named(model.params)
        checks += [self._compare(name, params[name], grads[name]) for name in reversed(params)]
        return checks if all(check.verdict == "ok" for check in checks) else self._explained(checks)

    def _explained(self, checks: list[Check]) -> list[Check]:
        """The checks with the kinds of mistakes as hints, as far as they are known."""
        # The differences have left other numbers behind.
        self.model.loss_and_gradient(self.minibatch, self.activations, self.config)
        probed = {
            name: [(place, numeric) for place, _, numeric in probes if place is not None]
            for name, probes in self._probes.items()
        }
        p = BackwardPass(self.model, self.minibatch, self.activations, self.config)
        return explained(checks, p, self._gradients, probed)

    def _compare(self, name: str, x: np.ndarray, gradient: np.ndarray, every: bool = False) -> Check:
        """Compare one tensor: at all coordinates if it is small, else at random ones and along random directions."""
        size, small = x.size, every or x.size <= EVERY
        indices = range(size) if small else self.rng.choice(size, min(size, 3 * COORDINATES), replace=False)
        coordinates = ((int(i), slice(i, i + 1), np.ones(1)) for i in indices)
        probes = self._probe(x, gradient, coordinates, size if small else COORDINATES)
        if not small:
            directions = ((None, slice(None), _unit_vector(size, self.rng)) for _ in range(3 * DIRECTIONS))
            probes += self._probe(x, gradient, directions, DIRECTIONS)
        self._gradients[name], self._probes[name] = gradient.copy(), probes
        return judge(name, gradient, probes, self.floor, ROWS)

    def _probe(self, x: np.ndarray, gradient: np.ndarray, directions: Iterable[Direction], count: int) -> list[Probe]:
        """The derivatives along the first `count` directions that lead across no kink."""
        flat_x, flat_gradient = x.reshape(-1), gradient.reshape(-1)
        probes: list[Probe] = []
        for coordinate, part, direction in directions:
            numeric = self._difference(flat_x[part], direction)
            if numeric is None:
                self.kinks += 1
                continue
            probes.append((coordinate, float(flat_gradient[part] @ direction), numeric))
            if len(probes) == count:
                return probes
        raise KinkError

    def _difference(self, x: np.ndarray, direction: np.ndarray) -> float | None:
        """Central difference of the loss when `x` moves along `direction`; None across a kink."""
        x_before = x.copy()
        losses = []
        smooth = True
        for step in (H, -H):
            x[:] = x_before + step * direction
            losses.append(self.model.loss(self.minibatch, self.activations, self.config)[0])
            smooth = smooth and np.array_equal(self._all_sides(), self.sides)
        x[:] = x_before
        return (losses[0] - losses[1]) / (2 * H) if smooth else None


def _unit_vector(size: int, rng: np.random.Generator) -> np.ndarray:
    """A random unit vector; all directions are equally likely."""
    normals = rng.standard_normal(size)
    return normals / np.linalg.norm(normals)
