"""The gradient of the whole loss of the whole network, against central differences and against the complex step."""

import dataclasses
import itertools

import complex_step
import numpy as np
import pytest
from finite_difference import TOLERANCE, H, assert_gradient, numeric_gradient
from points import CONTINUOUS, HEADS, NETWORKS, branches, off_policy_point, surrogate_regions, value_branches

from ppo_np.config import PPOConfig

COMPLEX_TOLERANCE = 1e-11
SIX_REGIONS = set(itertools.product([True, False], [0, 1, 2]))
THREE_BRANCHES = {(False, False), (True, False), (True, True)}

every_head = pytest.mark.parametrize("head", HEADS)
every_network = pytest.mark.parametrize("network", NETWORKS)
every_loss = pytest.mark.parametrize(
    ("activation", "clip_vloss", "norm_adv"), list(itertools.product(["relu", "tanh"], [True, False], [True, False]))
)


def config_of(network, activation="relu", clip_vloss=True, norm_adv=True):
    """Coefficients far from 0, 1 and each other: none of the three terms can hide."""
    return PPOConfig(
        activation=activation, clip_vloss=clip_vloss, norm_adv=norm_adv, ent_coef=0.3, vf_coef=0.7, **NETWORKS[network]
    )


def analytic_gradient(point):
    """The hand-written one, (P,)."""
    point.model.loss_and_gradient(*point[1:])
    return point.model.grads.copy()


def central_differences(point):
    """The numeric gradient, (P,); None if some coordinate's step leads over a kink."""
    model, home, crossed = point.model, branches(point), []

    def loss():
        value = model.loss(*point[1:])[0]
        crossed.append(not np.array_equal(branches(point), home))
        return value

    numeric = numeric_gradient(loss, model.params)
    return None if any(crossed) else numeric


@every_head
@every_network
@every_loss
def test_every_coordinate_against_central_differences(head, network, activation, clip_vloss, norm_adv):
    config = config_of(network, activation, clip_vloss, norm_adv)
    for seed in range(20):
        point = off_policy_point(config, seed, (HEADS | CONTINUOUS)[head])
        analytic, numeric = analytic_gradient(point), central_differences(point)
        if numeric is not None:
            break
    assert numeric is not None, "20 points in a row lay on a kink"
    for name, tensor in point.model.named(analytic).items():
        assert_gradient(tensor, point.model.named(numeric)[name], name)


@every_head
@every_network
@every_loss
def test_every_coordinate_against_the_complex_step(head, network, activation, clip_vloss, norm_adv):
    point = off_policy_point(config_of(network, activation, clip_vloss, norm_adv), 100, (HEADS | CONTINUOUS)[head])
    analytic = analytic_gradient(point)
    oracle = complex_step.gradient(point)
    assert point.activations.loss_terms[0] == pytest.approx(
        complex_step.loss(point, point.model.params).real, rel=1e-12
    )
    for name, tensor in point.model.named(analytic).items():
        error = np.linalg.norm(tensor - point.model.named(oracle)[name])
        assert error <= COMPLEX_TOLERANCE * np.linalg.norm(tensor) + 1e-15, name


@every_network
@pytest.mark.parametrize("value_clip_coef", [0.1, 0.35])
def test_a_clip_range_of_the_values_own(network, value_clip_coef):
    config = dataclasses.replace(config_of(network, "tanh"), value_clip_coef=value_clip_coef)
    point = off_policy_point(config, 100)
    analytic, numeric, oracle = analytic_gradient(point), central_differences(point), complex_step.gradient(point)
    assert set(value_branches(point)) == THREE_BRANCHES
    for name, tensor in point.model.named(analytic).items():
        assert_gradient(tensor, point.model.named(numeric)[name], name)
        error = np.linalg.norm(tensor - point.model.named(oracle)[name])
        assert error <= COMPLEX_TOLERANCE * np.linalg.norm(tensor) + 1e-15, name
    other = analytic_gradient(point._replace(config=config_of(network, "tanh")))
    assert np.linalg.norm(other - numeric) > 1e-3 * np.linalg.norm(numeric)  # with clip_coef it would be wrong


@every_head
@every_network
@pytest.mark.parametrize("norm_adv", [True, False])
def test_every_point_reaches_every_branch(head, network, norm_adv):
    for seed in (*range(20), 100):
        point = off_policy_point(config_of(network, norm_adv=norm_adv), seed, (HEADS | CONTINUOUS)[head])
        analytic_gradient(point)
        assert set(surrogate_regions(point)) == SIX_REGIONS
        assert set(value_branches(point)) == THREE_BRANCHES


@pytest.mark.parametrize("head", CONTINUOUS)
@pytest.mark.parametrize(("network", "activation"), [("both", "relu"), ("heads only", "tanh")])
def test_other_distributions_of_real_numbers(head, network, activation):
    test_every_coordinate_against_central_differences(head, network, activation, True, True)
    test_every_coordinate_against_the_complex_step(head, network, activation, False, False)
    test_every_point_reaches_every_branch(head, network, True)
    test_on_policy_the_gradient_is_the_plain_policy_gradient(head)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_random_directions_on_the_articles_network(activation):
    """Per tensor, along random directions: the step is 1e-5 long, whatever the number of coordinates."""
    config = PPOConfig(activation=activation, ent_coef=0.3, vf_coef=0.7)
    point = off_policy_point(config, seed=0, obs_size=8, rows=24)
    analytic = analytic_gradient(point)
    for name in point.model.shapes:
        direction, central = smooth_direction(point, analytic, name)
        slope = analytic @ direction
        assert complex_step.derivative(point, direction) == pytest.approx(slope, rel=1e-9), name
        assert central == pytest.approx(slope, rel=2 * TOLERANCE, abs=1e-9), name


def smooth_direction(point, analytic, name):
    """A random direction of length 1 in one tensor, over no kink, and the central difference along it."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        direction = np.zeros_like(analytic)
        tensor = point.model.named(analytic)[name]
        point.model.named(direction)[name][:] = rng.standard_normal(tensor.shape) * np.abs(tensor)
        direction /= np.linalg.norm(direction)
        (above, sides_above), (below, sides_below) = (loss_and_sides(point, step * direction) for step in (H, -H))
        if np.array_equal(sides_above, sides_below):
            return direction, (above - below) / (2 * H)
    raise AssertionError("20 directions in a row led over a kink")


def loss_and_sides(point, step):
    """The loss and the sides of the kinks at the parameters + step; the parameters are restored."""
    home = point.model.params.copy()
    point.model.params += step
    result = point.model.loss(*point[1:])[0], branches(point)
    point.model.params[:] = home
    return result


@every_head
def test_on_policy_the_gradient_is_the_plain_policy_gradient(head):
    """Ratio 1, V = V_old: -mean(A grad log pi) - c_H mean(grad H) + c_V mean((V - R) grad V), by the complex step."""
    point = off_policy_point(config_of("both", norm_adv=False), 3, (HEADS | CONTINUOUS)[head])
    point.minibatch.old_logprobs[:] = point.activations.distribution.logprobs
    point.minibatch.old_values[:] = point.activations.values
    analytic = analytic_gradient(point)
    loss_without_ratio = complex_step.gradient(point._replace(config=config_of("both", clip_vloss=False)))
    np.testing.assert_allclose(analytic, loss_without_ratio, rtol=1e-9, atol=1e-14)
    assert set(surrogate_regions(point)) == {(True, 1), (False, 1)}
