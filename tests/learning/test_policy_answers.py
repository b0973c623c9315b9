"""What a policy says beside its actions: probabilities, parameters of the distribution, log-probabilities, values."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from gymnasium import spaces
from scipy import stats

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError
from ppo_np.learning.policy import Policy

DISCRETE = spaces.Discrete(4, start=10)
MULTI = spaces.MultiDiscrete([[3, 2], [4, 5]], start=[[1, 2], [-3, 0]], dtype=np.int8)
BITS = spaces.MultiBinary((2, 3))
FREE, BOX = spaces.Box(-9, 9, (2, 1), np.float64), spaces.Box(np.float32([-1, 2]), np.float32([3, 2.5]))
KINDS = {
    "discrete": (DISCRETE, {}),
    "multi": (MULTI, {}),
    "bits": (BITS, {}),
    "gaussian": (FREE, {}),
    "state": (FREE, {"log_std": "state"}),
    "squashed": (BOX, {"action_distribution": "squashed"}),
    "state squashed": (BOX, {"action_distribution": "squashed", "log_std": "state"}),
    "beta": (BOX, {"action_distribution": "beta"}),
    "a number": (spaces.Box(-1, 1, ()), {"action_distribution": "squashed"}),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
OBS = np.random.default_rng(5).uniform(-1, 1, (20, 3)).astype(np.float32)


def policy_of(space, **settings):
    """A policy with random parameters, on observations that are normalised."""
    config = PPOConfig(shared_sizes=(8,), norm_obs=True, **settings)
    policy = Policy(spaces.Box(-1, 1, (3,)), space, config, None)
    policy.model.params[:] = np.random.default_rng(1).standard_normal(policy.model.params.size) * 0.7
    policy.obs_moments.update(np.float32([[0, 1, 2], [3, -4, 5]]), np.ones(2, bool))
    policy.rng = np.random.default_rng(6)
    return policy


def outputs(policy, obs):
    """The network's outputs and values in float64, from its parameters alone."""
    tensors = {name: tensor.astype(float) for name, tensor in policy.model.named(policy.model.params).items()}
    x = np.clip((obs - policy.obs_moments.mean) / np.sqrt(policy.obs_moments.variance + 1e-8), -10, 10)
    h = np.maximum(x @ tensors["shared/0/weight"] + tensors["shared/0/bias"], 0)
    out, value = (h @ tensors[f"{tower}/head/weight"] + tensors[f"{tower}/head/bias"] for tower in ("policy", "value"))
    return out, value[:, 0], tensors.get("policy/log_std")


def density(kind, out, log_std, space, actions):
    """The log-density of actions, (B, ...), by SciPy."""
    actions = actions.reshape(len(actions), -1)
    if kind == "beta":
        alpha, beta = 1 + np.logaddexp(0, out[:, 0::2]), 1 + np.logaddexp(0, out[:, 1::2])
        return stats.beta.logpdf(actions, alpha, beta, space.low, space.high - space.low).sum(axis=1)
    means, log_std = (out[:, 0::2], out[:, 1::2]) if "state" in kind else (out, log_std)
    if kind in ("gaussian", "state"):
        return stats.norm.logpdf(actions, means, np.exp(log_std)).sum(axis=1)
    half = (space.high.astype(float) - space.low) / 2
    t = (actions - space.low) / half - 1
    return (stats.norm.logpdf(np.arctanh(t), means, np.exp(log_std)) - np.log(half * (1 - t**2))).sum(axis=1)


@every_kind
def test_log_prob_is_that_of_scipy(kind):
    space, settings = KINDS[kind]
    policy = policy_of(space, **settings)
    out, _, log_std = outputs(policy, OBS)
    actions = policy.predict(OBS, deterministic=False)
    if kind == "discrete":
        expected = stats.multinomial.logpmf(np.eye(4)[actions - 10], 1, softmax(out))
    elif kind == "multi":
        parts, chosen = np.split(out, [3, 5, 9], axis=1), (actions - space.start).reshape(20, -1)
        expected = sum(np.log(softmax(part)[range(20), chosen[:, s]]) for s, part in enumerate(parts))
    elif kind == "bits":
        expected = stats.bernoulli.logpmf(actions.reshape(20, -1), 1 / (1 + np.exp(-out))).sum(axis=1)
    else:
        expected = density(kind, out, log_std, space, actions.astype(float))
    logprobs = policy.log_prob(OBS, actions)
    np.testing.assert_allclose(logprobs, expected, rtol=1e-4, atol=1e-4)
    single = policy.log_prob(OBS[3], actions[3])
    assert type(single) is float
    assert single == pytest.approx(logprobs[3], rel=1e-5, abs=1e-6)


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_probabilities():
    policy = policy_of(DISCRETE)
    expected = softmax(outputs(policy, OBS)[0])
    np.testing.assert_allclose(policy.probabilities(OBS), expected, rtol=1e-5)
    assert policy.probabilities(OBS[0]).shape == (4,)
    assert policy.predict(OBS).tolist() == (10 + expected.argmax(axis=1)).tolist()
    policy = policy_of(MULTI)
    parts = np.split(outputs(policy, OBS)[0], [3, 5, 9], axis=1)
    for found, one, part in zip(policy.probabilities(OBS), policy.probabilities(OBS[0]), parts, strict=True):
        np.testing.assert_allclose(found, softmax(part), rtol=1e-5)
        np.testing.assert_allclose(one, found[0], rtol=1e-6)
    policy = policy_of(BITS)
    expected = 1 / (1 + np.exp(-outputs(policy, OBS)[0]))
    np.testing.assert_allclose(policy.probabilities(OBS).reshape(20, 6), expected, rtol=1e-5)
    assert policy.probabilities(OBS[0]).shape == (2, 3)
    with pytest.raises(UserError, match=r"^The policy acts in Box.*distribution\(obs\)"):
        policy_of(FREE).probabilities(OBS)


@pytest.mark.parametrize("kind", [kind for kind, (space, _) in KINDS.items() if isinstance(space, spaces.Box)])
def test_the_parameters_of_a_density(kind):
    space, settings = KINDS[kind]
    policy = policy_of(space, **settings)
    out, _, log_std = outputs(policy, OBS)
    found = policy.distribution(OBS)
    if kind == "beta":
        expected = {"alpha": 1 + np.logaddexp(0, out[:, 0::2]), "beta": 1 + np.logaddexp(0, out[:, 1::2])}
    elif "state" in kind:
        expected = {"means": out[:, 0::2], "log_std": out[:, 1::2]}
    else:
        expected = {"means": out, "log_std": np.tile(log_std, (20, 1))}
    bounds = {} if space is FREE else {"low": space.low, "high": space.high}
    assert set(found) == {*expected, *bounds}
    for name, numbers in expected.items():
        assert found[name].shape == (20, *space.shape)
        np.testing.assert_allclose(found[name].reshape(20, -1), numbers, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(policy.distribution(OBS[7])[name], found[name][7], rtol=1e-5, atol=1e-6)
    for name, bound in bounds.items():
        assert np.array_equal(found[name], bound)


def test_values():
    policy = policy_of(DISCRETE)
    np.testing.assert_allclose(policy.value(OBS), outputs(policy, OBS)[1], rtol=1e-4, atol=1e-5)
    assert policy.value(OBS[2]) == pytest.approx(policy.value(OBS)[2], rel=1e-5)
    assert type(policy.value(OBS[2])) is float


@pytest.mark.parametrize("space", [spaces.Discrete(3, start=5), spaces.MultiDiscrete([2, 3])], ids=str)
def test_masks(space):
    policy = policy_of(space, action_mask="info:action_mask")
    masks = np.random.default_rng(0).integers(0, 2, (20, policy.model.head.outputs)).astype(bool)
    masks[:, [0, -1]] = True
    if isinstance(space, spaces.MultiDiscrete):
        masks[:, 2] = True
    found = policy.distribution(OBS, masks)
    joined = {name: np.hstack(part) if isinstance(part, tuple) else part for name, part in found.items()}
    assert np.array_equal(joined["logits"] == -np.inf, ~masks)
    assert np.array_equal(joined["probabilities"] == 0, ~masks)
    np.testing.assert_allclose(joined["logits"][masks], outputs(policy, OBS)[0][masks], rtol=1e-4, atol=1e-5)
    sizes = policy.model.head.sizes
    np.testing.assert_allclose(joined["probabilities"].sum(axis=1), len(sizes), rtol=1e-5)
    actions = policy.predict(OBS, False, masks)
    chosen = actions.reshape(20, -1) - (5 if space.shape == () else 0) + np.cumsum(sizes) - sizes
    expected = np.log(np.take_along_axis(joined["probabilities"], chosen, axis=1)).sum(axis=1)
    np.testing.assert_allclose(policy.log_prob(OBS, actions, masks), expected, rtol=1e-4, atol=1e-5)
    only = np.zeros_like(masks[0])
    only[[0, 2] if len(sizes) == 2 else 0] = True
    first, last = (5, 7) if space.shape == () else ([0, 0], [1, 2])
    assert policy.log_prob(OBS[0], first, only) == 0
    assert policy.log_prob(OBS[0], last, only) == -np.inf
    for call in (policy.probabilities, policy.distribution, lambda obs: policy.log_prob(obs, first)):
        with pytest.raises(UserError, match="action_mask is None, but the policy was trained with masks"):
            call(OBS[0])
    assert policy.value(OBS).shape == (20,)  # which masks do not matter for


def test_an_action_on_a_bound_has_a_finite_density():
    for distribution in ("squashed", "beta"):
        policy = policy_of(BOX, action_distribution=distribution)
        within = np.nextafter(BOX.high, BOX.low)
        assert np.isfinite(policy.log_prob(OBS[0], BOX.high))
        assert np.isfinite(policy.log_prob(OBS[0], BOX.low))
        assert policy.log_prob(OBS[0], BOX.high) <= policy.log_prob(OBS[0], within)


WRONG = [
    ("discrete", 9), ("discrete", 14), ("discrete", 10.5), ("discrete", [10]), ("discrete", "x"), ("discrete", None),
    ("multi", [[0, 2], [-3, 0]]), ("multi", [[4, 2], [-3, 0]]), ("multi", [1, 2, -3, 0]), ("multi", [[1], [2, 3]]),
    ("bits", np.full((2, 3), 2)), ("bits", np.zeros(6)), ("gaussian", [[np.nan], [0]]), ("gaussian", [0, 0]),
    ("squashed", [0, 1.99]), ("beta", [3.01, 2]), ("beta", [np.inf, 2]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "action"), WRONG, ids=str)
def test_what_is_no_action(kind, action):
    space, settings = KINDS[kind]
    with pytest.raises(UserError, match=r"^actions is .*, but it must be an action in "):
        policy_of(space, **settings).log_prob(OBS[0], action)
    with pytest.raises(UserError, match=r"^actions is .*, but it must be 20 actions, one for each observation, in "):
        policy_of(space, **settings).log_prob(OBS, action)


def test_a_gaussian_may_go_beyond_its_box():
    policy = policy_of(FREE)
    assert policy.log_prob(OBS[0], [[11.0], [0.0]]) < policy.log_prob(OBS[0], [[9.0], [0.0]])


@every_kind
def test_answers_are_the_callers_own(kind):
    """A later call changes nothing that was given away, and no answer is part of the policy."""
    space, settings = KINDS[kind]
    policy = policy_of(space, **settings)

    def answers(obs):
        action = policy.predict(obs)
        parts = [p for part in policy.distribution(obs).values() for p in (part if type(part) is tuple else [part])]
        return [np.asarray(action), *parts, np.asarray(policy.value(obs)), np.asarray(policy.log_prob(obs, action))]

    first = answers(OBS)
    kept = [answer.copy() for answer in first]
    answers(OBS[::-1].copy())
    for answer, copy in zip(first, kept, strict=True):
        assert np.array_equal(answer, copy)
        if answer.flags.writeable:
            answer[...] = 0
    for answer, copy in zip(answers(OBS), kept, strict=True):
        assert np.array_equal(answer, copy)


def test_threads_together():
    policy = policy_of(MULTI)
    actions = policy.predict(OBS)

    def answers(i):
        found = policy.value(OBS[i]), policy.log_prob(OBS[i], actions[i]), *policy.probabilities(OBS[i])
        return [np.asarray(answer).tolist() for answer in found]

    expected = [answers(i) for i in range(20)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(answers, list(range(20)) * 50)) == expected * 50


def test_the_policy_has_its_own_generator():
    policies = [policy_of(DISCRETE), policy_of(DISCRETE)]
    first, second = ([policy.predict(OBS, False).tolist() for _ in range(3)] for policy in policies)
    assert first == second
    assert first[0] != first[1]
    given = policies[0].predict(OBS, False, rng=np.random.default_rng(6)).tolist()
    assert given == first[0]


def test_the_repr_says_what_it_is():
    policy = policy_of(BOX, action_distribution="beta", env_id="Own-v0")
    expected = "Own-v0, Box(3,) -> Box(2,), Beta, shared [8], relu, 77 parameters, observations normalised"
    assert repr(policy) == f"<Policy: {expected}>"
    policy = policy_of(DISCRETE, action_mask="info:action_mask", env_id="", policy_sizes=(4,))
    expected = "an environment without an id, Box(3,) -> Discrete(4, start=10), Categorical, shared [8], policy [4]"
    assert repr(policy) == f"<Policy: {expected}, relu, 97 parameters, observations normalised, action masks>"
