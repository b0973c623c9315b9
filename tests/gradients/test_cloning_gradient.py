"""The gradient of the cloning loss against central differences, for every distribution, and with bugs planted in it."""

import numpy as np
import pytest
from finite_difference import assert_gradient, numeric_gradient
from points import CONTINUOUS, HEADS, NETWORKS, branches, off_policy_point

from ppo_np.checking.planted_bugs import planted
from ppo_np.config import PPOConfig
from ppo_np.learning import cloning
from ppo_np.learning.cloning import cloning_loss, cloning_loss_and_gradient

ALL = HEADS | CONTINUOUS
DLOSS = 1.7  # with an upstream gradient of 1, a missing factor and a division look right


def point_of(head, network="both", activation="tanh"):
    """A point on which a PPO loss has left other gradients in the workspace."""
    point = off_policy_point(PPOConfig(activation=activation, **NETWORKS[network]), 0, ALL[head], rows=12)
    point.model.loss_and_gradient(*point[1:])
    return point


def check(point):
    """Compare every coordinate; fails if a step leads over a kink, which the seed avoids."""
    model, minibatch, activations, _ = point
    loss = cloning_loss_and_gradient(model, minibatch, activations, DLOSS)
    assert loss == cloning_loss(model, minibatch, activations)
    home = branches(point)[len(minibatch.obs) * 3 :]

    def scaled_loss():
        value = DLOSS * cloning_loss(model, minibatch, activations)
        assert np.array_equal(branches(point)[len(minibatch.obs) * 3 :], home)
        return value

    analytic = model.grads.copy()
    numeric = numeric_gradient(scaled_loss, model.params)
    for name, tensor in model.named(analytic).items():
        assert_gradient(tensor, model.named(numeric)[name], name)


@pytest.mark.parametrize("head", ALL)
def test_every_coordinate_against_central_differences(head):
    check(point_of(head))


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_with_relu(network):
    check(point_of("Discrete", network, "relu"))


@pytest.mark.parametrize("head", ALL)
def test_the_loss_is_the_mean_negative_log_likelihood_and_the_value_learns_nothing(head):
    point = point_of(head, "private")
    loss = cloning_loss_and_gradient(*point[:3])
    assert loss == pytest.approx(-point.activations.distribution.logprobs.mean(), rel=1e-15)
    assert not point.model.grads[point.model.value_start :].any()


def left_over(name):
    """A bug: the gradient of this name, which PPO's loss left in the workspace, is not overwritten."""

    def wrong(dloss, dlogprobs, dentropies, dvalues):
        dlogprobs[:] = -dloss / len(dlogprobs)
        (dvalues if name == "dentropies" else dentropies)[:] = 0

    return wrong


def replaced(factor):
    """A bug: the gradient with respect to the log-probabilities is multiplied by `factor(B, dloss)`."""

    def wrong(dloss, dlogprobs, dentropies, dvalues):
        dlogprobs[:] = -dloss / len(dlogprobs) * factor(len(dlogprobs), dloss)
        dentropies[:] = dvalues[:] = 0

    return wrong


BUGS = {
    "the sum instead of the mean": replaced(lambda rows, dloss: rows),
    "likelihood is minimised": replaced(lambda rows, dloss: -1),
    "the upstream gradient is left out": replaced(lambda rows, dloss: 1 / dloss),
    "the entropy's gradient is left over": left_over("dentropies"),
    "the value's gradient is left over": left_over("dvalues"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_in_the_loss_is_found(monkeypatch, bug):
    point = point_of("Discrete")
    monkeypatch.setattr(cloning, "cloning_loss_backward", BUGS[bug])
    with pytest.raises(AssertionError, match="relative error"):
        check(point)


@pytest.mark.parametrize(
    ("head", "bug", "settings"),
    [
        ("Discrete", "no-softmax-term", {}),
        ("MultiDiscrete", "no-softmax-term", {}),
        ("MultiBinary", "no-sigmoid-term", {}),
        ("Box", "mean-over-sigma-once", {}),
        ("Box", "log-std-without-1", {}),
        ("log_std of the state", "log-std-summed", {"log_std": "state"}),
        ("squashed", "jacobian-moves", {"action_distribution": "squashed"}),
        ("Beta", "beta-without-sum", {"action_distribution": "beta"}),
        ("Discrete", "no-bias-gradient", {}),
    ],
)
def test_a_bug_in_what_it_shares_with_ppo_is_found(head, bug, settings):
    point = point_of(head)
    with planted(bug, PPOConfig(**settings)), pytest.raises(AssertionError, match="relative error"):
        check(point)
