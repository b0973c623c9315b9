"""The gradcheck command: right gradients pass, every planted bug is caught and described, nothing else is blamed."""

import json

import gymnasium
import numpy as np
import pytest
import sample_environments  # noqa: F401  registers the test environments
from commands import run
from conftest import needs_jit
from gymnasium import spaces

from kernels.advantage import normalize
from ppo_np import PPOConfig
from ppo_np.checking import numerical_check, planted_bugs
from ppo_np.checking.gradient_report import ratio_hint
from ppo_np.checking.numerical_check import (
    EVERY,
    ROWS,
    SURROGATE_REGIONS,
    VALUE_BRANCHES,
    KinkError,
    Point,
    check_gradients,
)
from ppo_np.checking.planted_bugs import BUGS, LAYERS, LOSS, PlantedBug
from ppo_np.gradcheck import main
from ppo_np.network.action_head import ActionHead, discrete
from ppo_np.network.distributions import Gaussian, MultiCategorical
from ppo_np.network.model import ActorCritic
from ppo_np.running import cli


class OfSpaces(gymnasium.Env):
    """Only has spaces."""

    def __init__(self, action_space, observation_space=None):
        self.action_space = action_space
        self.observation_space = observation_space or spaces.Box(-1, 1, (3,))


def of_spaces(name, *given):
    """The id of an environment with these spaces."""
    env_id = f"ppo_np_test/{name}-v0"
    if env_id not in gymnasium.registry:
        gymnasium.register(env_id, lambda: OfSpaces(*given))
    return env_id


MULTI_BINARY = of_spaces("MultiBinary", spaces.MultiBinary((2, 2)))
BOX = of_spaces("Box", spaces.Box(-1, 1, (3,)))
SEQUENCE = of_spaces("Sequence", spaces.Discrete(2), spaces.Sequence(spaces.Discrete(2)))
DICT = of_spaces("Dict", spaces.Dict(a=spaces.Discrete(2)))
# Environment, its action space's parameters, what the policy head gives.
ACTIONS = [
    ("CartPole-v1", "logits", {}),
    (of_spaces("MultiDiscrete", spaces.MultiDiscrete([[3, 2], [4, 1]], start=[[1, 1], [0, 2]])), "logits", {}),
    (MULTI_BINARY, "logits", {}),
    ("Pendulum-v1", "means", {"policy/log_std": [1]}),
    (BOX, "means", {"policy/log_std": [3]}),
    (of_spaces("Nested", spaces.Box(-1, 1, ()), spaces.Dict(a=spaces.Discrete(2), b=spaces.Text(2, charset="xy"))),
     "means", {"policy/log_std": [1]}),
]  # fmt: skip
SMALL = ["--preset", "article", "--env-id", "CartPole-v1", "--shared-sizes", "3", "3"]
NETWORKS = {
    "shared": {"shared_sizes": (4, 3), "policy_sizes": (), "value_sizes": ()},
    "private": {"shared_sizes": (), "policy_sizes": (4,), "value_sizes": (3,)},
    "both": {"shared_sizes": (4,), "policy_sizes": (3,), "value_sizes": (3, 2)},
}
TERMS = ["policy_loss/dlogprobs", "entropy/dentropies", "value_loss/dvalues", "loss/dlogits"]
CHECK_KEYS = [
    "name", "shape", "norm", "probes", "worst", "analytic", "numeric", "relative_error", "verdict", "hint",
]  # fmt: skip
# For each bug: the settings it is shown with, and which rows it makes wrong (any of these words in the name).
EVERYTHING = ["policy", "entropy", "value", "loss", "shared"]
POLICY = ["policy", "loss/dlogits", "shared"]
SPOILT = {
    "no-ratio": ([], POLICY),
    "no-clip": ([], POLICY),
    "clip-both-sides": ([], POLICY),
    "swapped-logprobs": ([], POLICY),
    "sum-not-mean": ([], EVERYTHING),
    "entropy-sign": ([], ["entropy", "loss/dlogits", "policy/", "shared"]),
    "value-doubled": ([], ["value", "shared"]),
    "no-value-clip": ([], ["value", "shared"]),
    "no-softmax-term": ([], ["loss/dlogits", "policy/", "shared"]),
    "entropy-without-h": ([], ["loss/dlogits", "policy/", "shared"]),
    "no-sigmoid-term": (["--env-id", MULTI_BINARY], ["loss/dlogits", "policy/", "shared"]),
    "mean-over-sigma-once": (["--env-id", BOX], ["loss/dmeans", "policy/head", "shared"]),
    "log-std-without-1": (["--env-id", BOX], ["policy/log_std"]),
    "sigma-for-log-sigma": (["--env-id", BOX], ["policy/log_std"]),
    "no-log-std-gradient": (["--env-id", BOX], ["policy/log_std"]),
    "no-bias-gradient": ([], ["bias"]),
    "bias-mean": ([], ["bias"]),
    "weight-reshaped": ([], ["policy/head/weight", "shared/1/weight", "shared/0/weight"]),
    "relu-derivative-1": ([], ["shared"]),
    "tanh-derivative": (["--activation", "tanh"], ["shared"]),
    "weight-not-transposed": ([], ["shared/0"]),
    "no-value-at-fork": ([], ["shared"]),
}


def small(**settings):
    return PPOConfig(**{"env_id": "CartPole-v1", "shared_sizes": (3, 3)} | settings)


def json_report(capsys, *arguments, code):
    assert run(main, *SMALL, "--json", *arguments) == code
    return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


def plant(monkeypatch, place, wrong, name="homemade"):
    monkeypatch.setitem(BUGS, name, PlantedBug("Homemade.", wrong, place, None, "", ""))


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
        assert check.probes == (np.prod(check.shape) if np.prod(check.shape) <= EVERY else 32)
        assert check.analytic == pytest.approx(check.numeric, rel=1e-5, abs=1e-9)
    assert report.parameters == sum(np.prod(shape) for shape in tensors.values())


@pytest.mark.parametrize(("env_id", "outputs", "more"), ACTIONS, ids=[env_id for env_id, *_ in ACTIONS])
def test_the_gradients_are_right_for_every_action_space(capsys, env_id, outputs, more):
    report = json_report(capsys, "--env-id", env_id, "--ent-coef", "0.3", code=cli.DONE)
    shapes = {check["name"]: check["shape"] for check in report["checks"]}
    assert list(shapes)[:4] == [*TERMS[:3], f"loss/d{outputs}"]
    assert {name: shape for name, shape in shapes.items() if "log_std" in name} == more
    names = list(shapes)
    if more:
        assert names[names.index("policy/log_std") + 1] == "policy/head/bias"
    unseen = [check["name"] for check in report["checks"] if check["hint"]]
    assert unseen == []


@pytest.mark.parametrize("log_std_init", ["-10", "10"])
def test_a_tiny_or_a_huge_standard_deviation_bends_no_difference(capsys, log_std_init):
    json_report(capsys, "--env-id", BOX, "--log-std-init", log_std_init, code=cli.DONE)


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
    regions, branches = numerical_check.count_branches(minibatch, activations, config)
    assert regions == dict.fromkeys(SURROGATE_REGIONS, ROWS // 6)
    assert branches == dict.fromkeys(VALUE_BRANCHES, ROWS // 6)
    # The flat ones are those, and those alone, where the loss has no slope.
    assert (activations.dlogprobs == 0).sum() == regions["A>0, r>1+e: flat"] + regions["A<0, r<1-e: flat"]
    assert (activations.dvalues == 0).sum() == branches["V>Vold, outside: flat"] + branches["V<Vold, outside: flat"]


def test_the_report_as_json(capsys):
    report = json_report(capsys, "--seed", 3, code=cli.DONE)
    assert list(report) == [
        "env_id", "preset", "seed", "inject", "passed", "tolerance", "checks", "surrogate_regions", "value_branches",
        "rows", "parameters", "floor", "kinks", "points", "notes",
    ]  # fmt: skip
    assert (report["env_id"], report["preset"], report["seed"]) == ("CartPole-v1", "article", 3)
    assert report["passed"] is True
    assert report["inject"] is None
    assert report["tolerance"] == 1e-7
    assert report["floor"] == 1e-9
    assert report["notes"] == []
    assert all(list(check) == CHECK_KEYS for check in report["checks"])
    assert set(report["surrogate_regions"]) == set(SURROGATE_REGIONS)
    assert json_report(capsys, "--seed", 3, code=cli.DONE) == report
    assert json_report(capsys, "--seed", 4, code=cli.DONE) != report


def test_the_report_as_a_table(capsys):
    assert run(main, *SMALL) == cli.DONE
    out = capsys.readouterr().out
    for text in (*TERMS, "shared/1/weight", "(3, 3)", "value/head/bias", "A<0, r<1-e: flat 6", "V<Vold, inside 6"):
        assert text in out
    assert "All 12 gradients are right (relative tolerance 1e-07 a tensor, absolute floor 1e-09)." in out
    assert "WRONG" not in out


def test_a_wrong_gradient_in_the_table(capsys):
    assert run(main, *SMALL, "--inject", "bias-mean", "--no-clip-vloss") == cli.FAILED
    out = capsys.readouterr().out
    assert "clip_vloss is off" in out
    assert "Planted bug bias-mean: The bias's gradient is the mean" in out
    assert "4 of 12 gradients are WRONG" in out
    assert "policy/head/bias: ratio 1/36 = 1/B: a mean instead of a sum" in out
    assert "the first wrong one is value/head/bias: look there" in out


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught_where_it_is(capsys, name):
    settings, spoilt = SPOILT[name]
    report = json_report(capsys, "--inject", name, *settings, code=cli.FAILED)
    assert report["inject"] == name
    assert report["passed"] is False
    wrong = [check["name"] for check in report["checks"] if check["verdict"] == "WRONG"]
    assert wrong == [check["name"] for check in report["checks"] if any(word in check["name"] for word in spoilt)]
    hints = {check["name"]: check["hint"] for check in report["checks"]}
    assert all(hints[row] for row in wrong)
    if BUGS[name].hint:
        assert hints[BUGS[name].row].startswith(BUGS[name].hint)


def test_the_bug_is_gone_afterwards():
    def backward_path():
        from ppo_np.network import distributions, model

        return (
            model.ppo_loss_backward, model.mlp_backward, model.ActorCritic.backward,
            distributions.categorical_backward, distributions.bernoulli_backward, distributions.gaussian_backward,
        )  # fmt: skip

    before = backward_path()
    for name in (
        "no-clip",
        "no-softmax-term",
        "no-sigmoid-term",
        "no-log-std-gradient",
        "bias-mean",
        "no-value-at-fork",
    ):
        with pytest.raises(ZeroDivisionError), planted_bugs.planted(name, small()):
            assert backward_path() != before
            raise ZeroDivisionError
        assert backward_path() == before


def test_the_bugs_are_listed(capsys):
    assert len(BUGS) >= 12
    for flag in ("--list-bugs", "--help"):
        assert run(main, flag) == cli.DONE
        text = " ".join(capsys.readouterr().out.split())
        for name, bug in BUGS.items():
            assert f"{name}: {bug.description}" in text


def test_one_wrong_number_among_many_is_found(capsys, monkeypatch):
    def wrong(right, a):
        right()
        if a.dweights[-1].size > EVERY:
            a.dweights[-1][5, 7] *= -1

    plant(monkeypatch, LAYERS, wrong)
    report = json_report(capsys, "--shared-sizes", 12, 12, "--inject", "homemade", "--activation", "tanh", code=1)
    assert [check["name"] for check in report["checks"] if check["verdict"] == "WRONG"] == ["shared/1/weight"]


def test_a_gradient_that_is_not_a_number_is_wrong(capsys, monkeypatch):
    def wrong(right, a):
        right()
        a.dvalues[3] = np.nan

    plant(monkeypatch, LOSS, wrong)
    report = json_report(capsys, "--inject", "homemade", code=cli.FAILED)
    row = {check["name"]: check for check in report["checks"]}["value_loss/dvalues"]
    assert (row["verdict"], row["worst"], row["analytic"]) == ("WRONG", "[3]", None)
    assert row["hint"] == "not a finite number"


@pytest.mark.parametrize(
    ("factor", "hint"),
    [
        (-1, "ratio -1: the sign is wrong"),
        (36, "ratio 36 = B: a sum instead of a mean"),
        (1 / 36, "ratio 1/36 = 1/B: a mean instead of a sum"),
        (2, "ratio 2: a square without its factor 1/2"),
        (0.5, "ratio 1/2: a factor 1/2 too many"),
        (0, "ratio 0: a term is missing"),
        (0.37, "ratio 0.37"),
        (np.nan, "not a finite number"),
        (np.array([1, 1, 3]), "no common factor; ratio 3 at the worst; 1 of 3 differ"),
        (np.array([1, 0, 1]), "no common factor; ratio 0 at the worst; 1 of 3 differ"),
    ],
)
def test_what_the_ratio_speaks_for(factor, hint):
    numeric = np.array([0.3, -0.2, 0.1])
    noise = 1e-10 * np.array([1, -1, 1])
    assert ratio_hint(factor * numeric, numeric + noise, 1e-9, 36) == hint


def test_what_a_slope_speaks_for_where_the_loss_is_flat():
    ones, zeros = np.ones(2), np.zeros(2)
    assert ratio_hint(ones, zeros, 1e-9, 36) == "must be zero: the loss is flat here"
    assert ratio_hint(ones, np.array([1.0, 0.0]), 1e-9, 36) == "not 0 where it must be; 1 of 2 differ"


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        (["--ent-coef", "0"], "ent_coef is 0: the entropy's gradient is not exercised."),
        (["--vf-coef", "0"], "vf_coef is 0: the value loss's gradient is not exercised."),
        (["--no-clip-vloss"], "clip_vloss is off: the value loss has one branch only."),
        (["--clip-coef", "1.5"], "clip_coef is at least 1: no ratio can be below 1 - clip_coef."),
    ],
)
def test_what_is_left_out_is_said(capsys, settings, note):
    report = json_report(capsys, *settings, code=cli.DONE)
    assert report["notes"] == [note]
    unseen = {c["name"] for c in report["checks"] if c["hint"] == "zero or below the floor: nothing was compared"}
    assert unseen >= {"--ent-coef": {TERMS[1]}, "--vf-coef": {TERMS[2]}}.get(settings[0], set())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--env-id", SEQUENCE], "observation space is Sequence(Discrete(2), stack=False), but it must be one that"),
        (["--env-id", DICT], "action space is Dict('a': Discrete(2)), but it must be Discrete"),
        (["--env-id", "Nope-v9"], "env_id is 'Nope-v9'"),
        (["--preset", "nope"], "preset is 'nope', but it must be one of "),
        (["--ent-coef", "-1"], "ent_coef is -1.0"),
        (["--inject", "nope"], "inject is 'nope', but it must be one of no-ratio, no-clip"),
        (["--inject", "tanh-derivative"], "shows only with activation tanh and a hidden layer"),
        (["--inject", "relu-derivative-1", "--activation", "tanh"], "shows only with activation relu"),
        (["--inject", "relu-derivative-1", "--shared-sizes"], "shows only with activation relu and a hidden layer"),
        (["--inject", "no-value-at-fork", "--shared-sizes"], "shows only with vf_coef > 0 and shared layers"),
        (["--inject", "weight-not-transposed", "--shared-sizes", "3", "4"], "two equal hidden layers in a row"),
        (["--inject", "entropy-sign", "--ent-coef", "0"], "shows only with ent_coef > 0"),
        (["--inject", "value-doubled", "--vf-coef", "0"], "shows only with vf_coef > 0"),
        (["--inject", "no-value-clip", "--no-clip-vloss"], "shows only with vf_coef > 0 and clip_vloss"),
        (["--inject", "no-softmax-term", "--env-id", BOX], "'no-softmax-term', but that bug makes no difference with"),
        (["--inject", "no-softmax-term", "--env-id", MULTI_BINARY], "that bug makes no difference with these settings"),
        (
            ["--inject", "log-std-without-1"],
            "'log-std-without-1', but that bug makes no difference with",
        ),
        (["--inject", "no-sigmoid-term"], "'no-sigmoid-term', but that bug makes no difference with"),
        (["--inject", "harmless"], "inject is 'harmless', but that bug makes no difference with these settings"),
        (["--clip-coef", "1e-6"], "20 points in a row lay within 1e-05 of a kink"),
    ],
)
def test_a_mistake_is_one_sentence(capsys, monkeypatch, arguments, message):
    plant(monkeypatch, LOSS, lambda right, a: right(), name="harmless")
    assert run(main, *SMALL, *arguments) == cli.BAD_ARGUMENTS
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert captured.out == ""


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


@needs_jit
def test_the_articles_network(capsys):
    assert run(main, "--json") == cli.DONE
    report = json.loads(capsys.readouterr().out)
    assert report["parameters"] == 1_063_941
    assert len(report["checks"]) == 12
