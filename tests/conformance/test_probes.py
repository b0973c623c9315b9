"""Short trainings on the probe environments reach the analytic values and policies, in both ways of autoreset.

Tolerances: at least three times the largest error of 20 seeds.
"""

import numpy as np
import pytest
from episodes import MODES
from probes import GAMMA, Agree, Aim, Choice, Constant, Delay, Endless, Sign, outputs, probabilities, train

both_modes = pytest.mark.parametrize("mode", MODES)


def assert_values(trained, expected, tolerance):
    """Compare V of the observations that `expected` has as keys."""
    np.testing.assert_allclose(outputs(trained, *expected)[1], list(expected.values()), rtol=0, atol=tolerance)


@both_modes
def test_the_value_of_a_constant_reward(mode):
    assert_values(train(Constant, mode, seed=1), {0: 1}, 0.01)


@both_modes
def test_the_value_depends_on_the_observation(mode):
    assert_values(train(Sign, mode, seed=1), {-1: -1, 1: 1}, 0.01)


@both_modes
def test_the_value_of_a_later_reward_is_discounted(mode):
    assert_values(train(Delay, mode, seed=1, num_steps=4), {0: GAMMA, 1: 1}, 0.01)


@both_modes
def test_the_value_under_a_time_limit_is_that_without(mode):
    assert_values(train(Endless, mode, seed=1), {0: 1 / (1 - GAMMA)}, 0.01)


@both_modes
def test_the_better_action_is_found(mode):
    assert probabilities(train(Choice, mode, seed=1), 0)[0, 1] > 0.95


@both_modes
def test_the_better_action_depends_on_the_observation(mode):
    trained = train(Agree, mode, seed=1)
    assert (np.diag(probabilities(trained, -1, 1)) > 0.9).all()
    assert_values(trained, {-1: 1, 1: 1}, 0.4)


@both_modes
def test_the_best_real_action_depends_on_the_observation(mode):
    trained = train(Aim, mode, seed=1, num_steps=4, log_std_init=-1.0)
    np.testing.assert_allclose(outputs(trained, -1, 1)[0][:, 0], [-0.5, 0.5], atol=0.05)
