"""The other distributions of real numbers as the model uses them: state-dependent log_std, squashed, Beta."""

import numpy as np
import pytest
import scipy.stats
from conftest import both_dtypes, garbage
from finite_difference import assert_gradient, numeric_gradient
from gymnasium import spaces

from kernels.beta import ATTEMPTS
from ppo_np import PPOConfig, UserError
from ppo_np.network.action_head import ActionHead, action_head
from ppo_np.network.continuous import Beta, Squashed, StateGaussian, StateSquashed
from ppo_np.network.distributions import Gaussian
from ppo_np.network.model import LOG_STD, ActorCritic

BOX = spaces.Box(np.float32([-2, 100]), np.float32([2, 1000]))
SETTINGS = {
    "gaussian, state": ({"log_std": "state"}, StateGaussian),
    "squashed": ({"action_distribution": "squashed"}, Squashed),
    "squashed, state": ({"action_distribution": "squashed", "log_std": "state"}, StateSquashed),
    "beta": ({"action_distribution": "beta"}, Beta),
}
every_kind = pytest.mark.parametrize("name", SETTINGS)
MANY = 4000
LOG_STDS = np.array([-0.7, 0.4])


def make(name, rows, dtype=np.float64):
    """A distribution over BOX, and outputs whose log_std are about `LOG_STDS`."""
    head = action_head(BOX, PPOConfig(**SETTINGS[name][0]))
    model = ActorCritic(3, head, PPOConfig(shared_sizes=()), None, dtype)
    if head.has_log_std:
        model.named(model.params)[LOG_STD][:] = LOG_STDS
    outputs = np.random.default_rng(0).standard_normal((rows, head.outputs))
    if head.kind.has_state_log_std:
        outputs[:, 1::2] = LOG_STDS + 0.1 * outputs[:, 1::2]
    return model.distribution(rows), outputs.astype(dtype)


def textbook(name, outputs, a):
    """SciPy's distribution of component `a` of one row: of what is stored first, and of its place in [0, 1]."""
    if name == "beta":
        alpha, beta = 1 + np.logaddexp(0, outputs[2 * a : 2 * a + 2])
        return scipy.stats.beta(alpha, beta)
    if name == "squashed":
        return scipy.stats.norm(outputs[a], np.exp(LOG_STDS[a]))
    return scipy.stats.norm(outputs[2 * a], np.exp(outputs[2 * a + 1]))


@every_kind
def test_the_settings_choose_the_kind(name):
    head = action_head(BOX, PPOConfig(**SETTINGS[name][0]))
    assert head.kind is SETTINGS[name][1]
    assert head.outputs == (2 if name == "squashed" else 4)
    assert head.has_log_std == (name == "squashed")
    assert head.bounds == (() if name == "gaussian, state" else ((-2.0, 100.0), (2.0, 1000.0)))


@every_kind
@both_dtypes
def test_samples_follow_the_distribution(name, dtype):
    pi, outputs = make(name, MANY, dtype)
    outputs[:] = outputs[0]
    pi.sample(outputs, np.random.default_rng(2))
    for a in range(2):
        expected = textbook(name, outputs[0].astype(float), a)
        assert scipy.stats.kstest(pi.actions[:, a], expected.cdf).pvalue > 1e-4
        if name != "gaussian, state":
            place = (pi.env_actions[:, a] - BOX.low[a]) / (BOX.high[a] - BOX.low[a])
            inverse = place if name == "beta" else np.arctanh(2 * place.astype(float) - 1)
            np.testing.assert_allclose(inverse, pi.actions[:, a], rtol=1e-3, atol=1e-3)
            assert ((place >= 0) & (place <= 1)).all()
    assert scipy.stats.pearsonr(*pi.actions[:, :2].T).pvalue > 1e-4


@every_kind
def test_log_probabilities_are_densities_in_the_box(name):
    pi, outputs = make(name, 30)
    pi.sample(outputs[::-1].copy(), np.random.default_rng(1))
    actions, in_box = pi.actions.copy(), pi.env_actions.copy()
    pi.forward(outputs, actions)
    for b in range(30):
        expected = 0.0
        for a, width in enumerate(np.float64(BOX.high - BOX.low)):
            expected += textbook(name, outputs[b], a).logpdf(actions[b, a])
            if name == "beta":
                expected -= np.log(width)
            elif name != "gaussian, state":
                y = 2 * (in_box[b, a] - BOX.low[a]) / width - 1
                expected -= np.log(width / 2 * (1 - y**2))
        assert pi.logprobs[b] == pytest.approx(expected, rel=1e-8)


@every_kind
@both_dtypes
@pytest.mark.parametrize("scale", [1, 12])
def test_a_samples_log_probability_is_that_of_the_stored_action(name, dtype, scale):
    """With means of 12 and more, tanh is 1 in float32."""
    pi, outputs = make(name, 500, dtype)
    outputs *= scale
    pi.sample(outputs, np.random.default_rng(4))
    logprobs, actions = pi.logprobs.copy(), pi.actions.copy()
    pi.forward(outputs, actions)
    np.testing.assert_allclose(logprobs, pi.logprobs, rtol=np.finfo(dtype).eps, atol=1e-13)
    assert np.isfinite(logprobs).all()
    assert np.isfinite(pi.entropies).all()


@every_kind
def test_the_deterministic_action(name):
    pi, outputs = make(name, 20)
    pi.mode(outputs)
    if name == "gaussian, state":
        np.testing.assert_array_equal(pi.env_actions, outputs[:, 0::2])
        return
    if name == "beta":
        one, other = (np.logaddexp(0, outputs[:, side::2]) for side in (0, 1))
        place = one / (one + other)
    else:
        place = (np.tanh(outputs if name == "squashed" else outputs[:, 0::2]) + 1) / 2
    np.testing.assert_allclose(pi.env_actions, BOX.low + (BOX.high - BOX.low) * place, rtol=1e-12)


@every_kind
def test_a_sample_uses_as_many_numbers_in_each_row(name):
    """So ranks, which each draw all rows, agree."""
    pi, outputs = make(name, 50)
    rng, same = np.random.default_rng(3), np.random.default_rng(3)
    pi.sample(outputs, rng)
    if name == "beta":
        same.standard_normal((50, 2, 2, ATTEMPTS))
        same.random((50, 2, 2, ATTEMPTS))
    else:
        same.standard_normal((50, 2))
    assert rng.random() == same.random()


@every_kind
def test_gradient_of_every_coordinate(name):
    pi, outputs = make(name, 5)
    dlogprobs, dentropies = np.random.default_rng(1).standard_normal((2, 5))
    pi.sample(outputs[::-1].copy(), np.random.default_rng(5))
    actions, doutputs = pi.actions.copy(), garbage(outputs.shape, float)

    def loss():
        pi.forward(outputs, actions)
        return dlogprobs @ pi.logprobs + dentropies @ pi.entropies

    loss()
    pi.backward(dlogprobs, dentropies, outputs, actions, doutputs)
    assert_gradient(doutputs, numeric_gradient(loss, outputs), "outputs")
    if name == "squashed":
        assert_gradient(pi.dlog_std.copy(), numeric_gradient(loss, pi._parameter), LOG_STD)


def test_equal_log_stds_are_a_gaussian():
    state, plain = make("gaussian, state", 9)[0], Gaussian((1, 1), 9, float, LOG_STDS, garbage(2, float))
    means, (dlogprobs, dentropies) = make("squashed", 9)[1], np.random.default_rng(1).standard_normal((2, 9))
    outputs = np.stack([means, np.tile(LOG_STDS, (9, 1))], axis=2).reshape(9, 4)
    state.sample(outputs, np.random.default_rng(1))
    plain.sample(means, np.random.default_rng(1))
    np.testing.assert_array_equal(state.actions, plain.actions)
    doutputs, dmeans = garbage((9, 4), float), garbage((9, 2), float)
    for pi, given, gradient in ((state, outputs, doutputs), (plain, means, dmeans)):
        pi.forward(given, plain.actions)
        pi.backward(dlogprobs, dentropies, given, plain.actions, gradient)
    np.testing.assert_array_equal(state.entropies, plain.entropies)
    np.testing.assert_array_equal(doutputs[:, 0::2], dmeans)
    np.testing.assert_allclose(doutputs[:, 1::2].sum(axis=0), plain.dlog_std, rtol=1e-13)


@pytest.mark.parametrize("log_std_init", [-1.5, 0.0])
def test_the_initial_log_std(log_std_init):
    head = action_head(BOX, PPOConfig(log_std="state"))
    config = PPOConfig(shared_sizes=(8,), log_std_init=log_std_init)
    model = ActorCritic(3, head, config, np.random.default_rng(0))
    assert model.named(model.params)["policy/head/bias"].tolist() == [0, log_std_init, 0, log_std_init]


INFINITE = spaces.Box(-np.inf, 1, (2,))


@pytest.mark.parametrize(
    ("space", "settings", "message"),
    [
        (INFINITE, {"action_distribution": "squashed"}, "is 'squashed', but that needs finite bounds with low < high"),
        (INFINITE, {"action_distribution": "beta"}, r"is 'beta', but that needs finite bounds .* not Box\(-inf, 1.0"),
        (spaces.Box(1, 1, (2,)), {"action_distribution": "beta"}, "needs finite bounds with low < high"),
        (spaces.Discrete(3), {"action_distribution": "beta"}, r"beta', but that needs actions in a Box of floats, not"),
        (spaces.MultiBinary(3), {"action_distribution": "squashed"}, "'squashed', but that needs actions in a Box of "),
        (spaces.Discrete(3), {"log_std": "state"}, r"log_std is 'state', but that needs actions in a Box of floats"),
        (spaces.Box(0, 5, (2,), int), {"log_std": "state"}, "log_std is 'state', but that needs actions in a Box of f"),
    ],
)
def test_a_space_that_cannot_have_the_distribution_is_one_sentence(space, settings, message):
    with pytest.raises(UserError, match=message):
        action_head(space, PPOConfig(**settings))


def test_settings_that_contradict_each_other():
    with pytest.raises(UserError, match="log_std is 'state', but it must be 'parameter' with beta, which has no log_s"):
        PPOConfig(action_distribution="beta", log_std="state")
    with pytest.raises(UserError, match="action_distribution is 'cauchy', but it must be one of gaussian, squashed, b"):
        PPOConfig(action_distribution="cauchy")


@pytest.mark.parametrize(
    "parts",
    [
        (Squashed, (1, 1)),
        (Squashed, (1, 1), False, ((0.0,), (1.0,))),
        (Beta, (2, 1), False, ((0.0, 0.0), (1.0, 1.0))),
        (Beta, (2,), False, ((0.0,), (np.inf,))),
        (Beta, (2,), False, ((0.0,), (0.0,))),
        (Gaussian, (1,), False, ((0.0,), (1.0,))),
    ],
)
def test_a_head_whose_parts_do_not_fit_is_refused(parts):
    with pytest.raises(ValueError, match=r"bounds|sizes"):
        ActionHead(*parts)
