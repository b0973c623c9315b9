"""The numerical gradient check: right gradients pass, every branch is reached, differences over kinks do not count."""

import numpy as np
import pytest
from gradcheck_cases import TERMS, small

from kernels.advantage import normalize
from ppo_np.checking import numerical_check
from ppo_np.checking.branches import SURROGATE_REGIONS, VALUE_BRANCHES, count_branches
from ppo_np.checking.numerical_check import (
    EVERY,
    ROWS,
    KinkError,
    Point,
    check_gradients,
)
from ppo_np.network.action_head import ActionHead, discrete
from ppo_np.network.distributions import Gaussian, MultiCategorical
from ppo_np.network.model import ActorCritic

NETWORKS = {
    "shared": {"shared_sizes": (4, 3), "policy_sizes": (), "value_sizes": ()},
    "private": {"shared_sizes": (), "policy_sizes": (4,), "value_sizes": (3,)},
    "both": {"shared_sizes": (4,), "policy_sizes": (3,), "value_sizes": (3, 2)},
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("settings", [{}, {"activation": "tanh", "norm_adv": False}, {"clip_vloss": False}])
def test_the_gradients_are_right(network, settings):
    config = small(**NETWORKS[network] | settings)
    report = check_gradients(config)
    assert report.wrong == []
    tensors = ActorCritic(4, discrete(2), config, np.random.default_rng(0)).shapes
    assert [check.name for check in report.checks] == TERMS + list(reversed(tensors))
    for check in report.checks:
        assert check.relative_error < 1e-7
        assert check.shape == tensors.get(check.name, check.shape)
        every = np.prod(check.shape) <= EVERY or check.name == TERMS[3]
        assert check.probes == (np.prod(check.shape) if every else 32)
        assert check.analytic == pytest.approx(check.numeric, rel=1e-5, abs=1e-9)
    assert report.parameters == sum(np.prod(shape) for shape in tensors.values())


@pytest.mark.parametrize("head", [discrete(2), ActionHead(MultiCategorical, (3, 2)), ActionHead(Gaussian, (1, 1))])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("settings", [{}, {"norm_adv": False}, {"clip_coef": 0.01}, {"clip_coef": 0.9}])
def test_every_region_and_every_branch_occurs(head, seed, settings):
    config = small(seed=seed, **settings)
    rng = np.random.default_rng(seed)
    model = ActorCritic(4, head, config, rng, np.float64)
    minibatch, activations = numerical_check.off_policy_minibatch(model, config, rng)
    if config.norm_adv:
        normalize(minibatch.advantages, minibatch.advantages)
    model.loss_and_gradient(minibatch, activations, config)
    regions, branches = count_branches(minibatch, activations, config)
    assert regions == dict.fromkeys(SURROGATE_REGIONS, ROWS // 6)
    assert branches == dict.fromkeys(VALUE_BRANCHES, ROWS // 6)
    # The flat ones are those, and those alone, where the loss has no slope.
    assert (activations.dlogprobs == 0).sum() == regions["A>0, r>1+e: flat"] + regions["A<0, r<1-e: flat"]
    assert (activations.dvalues == 0).sum() == branches["V>Vold, outside: flat"] + branches["V<Vold, outside: flat"]


def a_point(config):
    """A network and a minibatch in which the first unit is a hair's breadth above its kink in row 0."""
    rng = np.random.default_rng(0)
    model = ActorCritic(4, discrete(2), config, rng, np.float64)
    minibatch, activations = numerical_check.off_policy_minibatch(model, config, rng)
    bias = model.named(model.params)["shared/0/bias"]
    bias[0] = -(minibatch.obs[0] @ model.named(model.params)["shared/0/weight"][:, 0]) + 1e-6
    return Point(model, minibatch, activations, config, rng)


def test_a_difference_over_a_kink_is_thrown_away():
    with pytest.raises(KinkError):
        a_point(small()).check()
    many = small(shared_sizes=(EVERY + 1,))
    point = a_point(many)
    params = point.model.params.copy()
    report = {check.name: check for check in point.check()}
    assert point.kinks > 0
    assert report["shared/0/bias"].probes == 32
    assert all(check.verdict == "ok" for check in report.values())
    np.testing.assert_array_equal(point.model.params, params)


def test_tanh_has_no_kink():
    assert all(check.verdict == "ok" for check in a_point(small(activation="tanh")).check())


def test_another_point_is_drawn_near_a_kink(monkeypatch):
    original, calls = Point.check, []

    def check(point):
        calls.append(point)
        if len(calls) < 3:
            raise KinkError
        return original(point)

    monkeypatch.setattr(Point, "check", check)
    assert check_gradients(small()).points == 3
    assert not np.array_equal(calls[0].minibatch.obs, calls[2].minibatch.obs)
