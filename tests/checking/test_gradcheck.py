"""The gradcheck command: right gradients pass, every planted bug is caught and described, nothing else is blamed."""

import json

import numpy as np
import pytest
from commands import run
from conftest import needs_jit
from gradcheck_cases import BOX, DICT, MULTI_BINARY, SEQUENCE, TERMS, of_spaces, small
from gymnasium import spaces

from ppo_np.checking import planted_bugs
from ppo_np.checking.branches import SURROGATE_REGIONS
from ppo_np.checking.numerical_check import EVERY
from ppo_np.checking.planted_bugs import BUGS, LAYERS, LOSS, PlantedBug
from ppo_np.gradcheck import SECOND_CHECK, main
from ppo_np.network.model import LOG_STD
from ppo_np.running import cli

# Environment, its action space's parameters, what the policy head gives.
ACTIONS = [
    ("CartPole-v1", "logits", {}),
    (of_spaces("MultiDiscrete", spaces.MultiDiscrete([[3, 2], [4, 1]], start=[[1, 1], [0, 2]])), "logits", {}),
    (MULTI_BINARY, "logits", {}),
    ("Pendulum-v1", "means", {"policy/log_std": [1]}),
    (BOX, "means", {"policy/log_std": [3]}),
    ("Pendulum-v1 --log-std state", "policy_outputs", {}),
    ("Pendulum-v1 --action-distribution squashed", "means", {"policy/log_std": [1]}),
    ("Pendulum-v1 --action-distribution squashed --log-std state", "policy_outputs", {}),
    ("Pendulum-v1 --action-distribution beta", "policy_outputs", {}),
    (of_spaces("Nested", spaces.Box(-1, 1, ()), spaces.Dict(a=spaces.Discrete(2), b=spaces.Text(2, charset="xy"))),
     "means", {"policy/log_std": [1]}),
]  # fmt: skip
SMALL = ["--preset", "article", "--env-id", "CartPole-v1", "--shared-sizes", "3", "3"]
CHECK_KEYS = [
    "name", "shape", "norm", "probes", "worst", "analytic", "numeric", "relative_error", "verdict", "hint",
]  # fmt: skip
# For each bug: the settings it is shown with, which rows it makes wrong (any of these words in the name), the row at
# which the backward pass turns wrong, and words that only its own hint has.
EVERYTHING = ["policy", "entropy", "value", "loss", "shared"]
POLICY = ["policy", "loss/dlogits", "shared"]
LOGITS = ["loss/dlogits", "policy/", "shared"]
ROW = "loss/dpolicy_outputs"
HEAD = [ROW, "policy/head", "shared"]
BOXED = ["--env-id", BOX]
SQUASHED, BETA = ([*BOXED, "--action-distribution", kind] for kind in ("squashed", "beta"))
SPOILT = {
    "no-ratio": ([], POLICY, TERMS[0], "the ratio is missing"),
    "no-clip": ([], POLICY, TERMS[0], "not 0 where the clipped branch is taken"),
    "clip-both-sides": ([], POLICY, TERMS[0], "0 on both sides of the clip range"),
    "swapped-logprobs": ([], POLICY, TERMS[0], "log-probability are swapped: 1/r instead of r"),
    "sum-not-mean": ([], EVERYTHING, TERMS[0], "B times too large"),
    "entropy-sign": ([], ["entropy", "loss/dlogits", "policy/", "shared"], TERMS[1], "the sign is wrong"),
    "value-doubled": ([], ["value", "shared"], TERMS[2], "lacks its factor 1/2"),
    "no-value-clip": ([], ["value", "shared"], TERMS[2], "not 0 where the clipped value has the larger error"),
    "value-clip-as-ratio-clip": (
        ["--value-clip-coef", "0.5"], ["value", "shared"], TERMS[2], "clip_coef instead of value_clip_coef",
    ),
    "no-softmax-term": ([], LOGITS, TERMS[3], "the term -dlogpi p is missing"),
    "entropy-without-h": ([], LOGITS, TERMS[3], "the term -dH p H is missing"),
    "entropy-plus-1": ([], LOGITS, TERMS[3], "keeps the + 1 of the derivative of p log p"),
    "no-sigmoid-term": (["--env-id", MULTI_BINARY], LOGITS, TERMS[3], "the term -dlogpi q is missing"),
    "mean-over-sigma-once": (
        ["--env-id", BOX], ["loss/dmeans", "policy/head", "shared"], "loss/dmeans", "zeta instead of zeta / sigma",
    ),
    "log-std-without-1": (["--env-id", BOX], [LOG_STD], LOG_STD, "zeta^2 instead of zeta^2 - 1"),
    "sigma-for-log-sigma": (["--env-id", BOX], [LOG_STD], LOG_STD, "with respect to sigma instead of log sigma"),
    "no-log-std-gradient": (["--env-id", BOX], [LOG_STD], LOG_STD, "it is 0 everywhere"),
    "log-std-summed": ([*BOXED, "--log-std", "state"], HEAD, ROW, "summed over the rows: each row has its own"),
    "entropy-without-jacobian": (
        SQUASHED, ["loss/dmeans", "policy/", "shared"], "loss/dmeans", "terms of the squashing, -2 tanh, are missing",
    ),
    "entropy-at-fixed-action": (
        SQUASHED, ["loss/dmeans", "policy/", "shared"], LOG_STD, "-log pi at the fixed action, of expectation 0",
    ),
    "jacobian-moves": (
        SQUASHED, ["loss/dmeans", "policy/head", "shared"], "loss/dmeans", "the Jacobian's slope: u does not move",
    ),
    "beta-without-sum": (BETA, HEAD, ROW, "the term psi(alpha + beta) is missing"),
    "no-softplus-derivative": (BETA, HEAD, ROW, "the derivative of softplus is missing"),
    "log-x-twice": (BETA, HEAD, ROW, "log x stands in it for both parameters"),
    "beta-entropy-without-sum": (BETA, HEAD, ROW, "(alpha + beta - 2) psi'(alpha + beta) is missing"),
    "no-bias-gradient": ([], ["bias"], "policy/head/bias", "it is 0 everywhere"),
    "bias-mean": ([], ["bias"], "policy/head/bias", "mean over the rows instead of their sum"),
    "weight-reshaped": (
        [], ["policy/head/weight", "shared/1/weight", "shared/0/weight"], "shared/0/weight", "transposed and then resh",
    ),
    "relu-derivative-1": ([], ["shared"], "shared/1", "derivative is taken as 1 everywhere"),
    "tanh-derivative": (["--activation", "tanh"], ["shared"], "shared/1", "taken as 1 - y instead of 1 - y^2"),
    "weight-not-transposed": ([], ["shared/0"], "shared/0", "not transposed: dz W instead of dz W^T"),
    "no-value-at-fork": ([], ["shared"], "shared/1", "the value tower's gradient is not added at the fork"),
    "no-policy-at-fork": ([], ["shared"], "shared/1", "the policy tower's gradient is not added at the fork"),
}  # fmt: skip
WORDS = {name: words for name, (*_, words) in SPOILT.items()}


def json_report(capsys, *arguments, code):
    assert run(main, *SMALL, "--json", *arguments) == code
    return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


def plant(monkeypatch, place, wrong, name="homemade"):
    monkeypatch.setitem(BUGS, name, PlantedBug("Homemade.", wrong, place, None))


@pytest.mark.parametrize(("env_id", "outputs", "more"), ACTIONS, ids=[env_id for env_id, *_ in ACTIONS])
def test_the_gradients_are_right_for_every_action_space(capsys, env_id, outputs, more):
    report = json_report(capsys, "--env-id", *env_id.split(), "--ent-coef", "0.3", code=cli.DONE)
    shapes = {check["name"]: check["shape"] for check in report["checks"]}
    assert list(shapes)[:4] == [*TERMS[:3], f"loss/d{outputs}"]
    assert {name: shape for name, shape in shapes.items() if "log_std" in name} == more
    names = list(shapes)
    if more:
        assert names[names.index("policy/log_std") + 1] == "policy/head/bias"
    unseen = [check["name"] for check in report["checks"] if check["hint"]]
    assert unseen == []


@pytest.mark.parametrize("log_std", ["parameter", "state"])
@pytest.mark.parametrize("log_std_init", ["-10", "10"])
def test_a_tiny_or_a_huge_standard_deviation_bends_no_difference(capsys, log_std_init, log_std):
    json_report(capsys, "--env-id", BOX, "--log-std-init", log_std_init, "--log-std", log_std, code=cli.DONE)


def test_the_report_as_json(capsys):
    report = json_report(capsys, "--seed", 3, code=cli.DONE)
    assert list(report) == [
        "env_id", "preset", "seed", "inject", "hunt", "passed", "tolerance", "checks", "surrogate_regions",
        "value_branches", "rows", "parameters", "floor", "kinks", "points", "turns", "notes",
    ]  # fmt: skip
    assert (report["env_id"], report["preset"], report["seed"]) == ("CartPole-v1", "article", 3)
    assert report["passed"] is True
    assert report["inject"] is None
    assert report["tolerance"] == 1e-7
    assert report["floor"] == 1e-9
    assert report["notes"] == report["turns"] == []
    assert report["hunt"] is None
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
    assert "policy/head/bias: it is the mean over the rows instead of their sum: the loss has taken the mean al" in out
    assert "The mistake is on the way from policy/head and value/head (right) to shared/1/bias (wrong)." in out


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught_where_it_is_and_named(capsys, name):
    settings, spoilt, place, words = SPOILT[name]
    report = json_report(capsys, "--inject", name, *settings, code=cli.FAILED)
    assert report["inject"] == name
    assert report["passed"] is False
    wrong = [check["name"] for check in report["checks"] if check["verdict"] == "WRONG"]
    assert wrong == [check["name"] for check in report["checks"] if any(word in check["name"] for word in spoilt)]
    hints = {check["name"]: check["hint"] for check in report["checks"]}
    assert all(hints[row] for row in wrong)
    assert words in (hints[place] if place in hints else hints[f"{place}/weight"])
    assert place in [turn["wrong"] for turn in report["turns"]]
    others = {other for other, of_other in WORDS.items() if of_other != words}
    assert [(row, other) for row in wrong for other in others if WORDS[other] in hints[row]] == []


def test_what_follows_from_an_earlier_mistake_is_not_called_one(capsys):
    report = json_report(capsys, "--inject", "no-softmax-term", "--policy-sizes", "4", code=cli.FAILED)
    hints = {check["name"]: check["hint"] for check in report["checks"] if check["verdict"] == "WRONG"}
    follows = {"policy/head": TERMS[3], "policy/0": "policy/head", "shared/1": "policy/0", "shared/0": "shared/1"}
    for layer, earlier in follows.items():
        for kind in ("weight", "bias"):
            assert hints[f"{layer}/{kind}"] == f"follows from {earlier}; its own step is right"
    assert report["turns"] == [{"right": TERMS[:2], "wrong": TERMS[3]}]


@pytest.mark.parametrize(
    ("bug", "right", "wrong"),
    [
        ("weight-not-transposed", ["shared/1"], "shared/0"),
        ("no-value-at-fork", ["policy/0", "value/head"], "shared/1"),
        ("sum-not-mean", ["loss"], TERMS[2]),
    ],
)
def test_where_the_backward_pass_turns_wrong(capsys, bug, right, wrong):
    report = json_report(capsys, "--inject", bug, "--policy-sizes", "4", code=cli.FAILED)
    assert {"right": right, "wrong": wrong} in report["turns"]
    assert len(report["turns"]) == (3 if bug == "sum-not-mean" else 1)


def test_a_hunt_withholds_the_name_until_it_is_asked_for(capsys):
    assert run(main, *SMALL, "--hunt", "4") == cli.FAILED
    out = capsys.readouterr().out
    assert "The answer: the same command with --hunt 4 --answer" in out
    assert "WRONG" in out
    assert run(main, *SMALL, "--hunt", "4", "--answer") == cli.FAILED
    answer = capsys.readouterr().out
    (name,) = [name for name in BUGS if f"Planted bug {name}: {BUGS[name].description}" in answer]
    for text in (name, WORDS[name], "follows from", "The mistake is on the way"):
        assert text in answer
        assert text not in out
    report = json_report(capsys, "--hunt", "4", code=cli.FAILED)
    assert (report["hunt"], report["inject"], report["turns"]) == (4, None, [])
    assert {check["hint"] for check in report["checks"]} == {""}
    assert json_report(capsys, "--hunt", "4", "--answer", code=cli.FAILED)["inject"] == name


def test_a_hunt_without_a_number_draws_one_and_bugs_that_do_not_fit_are_left_out(capsys, monkeypatch):
    monkeypatch.setattr("random.randrange", lambda _: 77)
    assert json_report(capsys, "--hunt", code=cli.FAILED)["hunt"] == 77
    assert json_report(capsys, "--hunt", "--answer", code=cli.FAILED)["hunt"] == 77
    few = {name: BUGS[name] for name in ("no-sigmoid-term", "tanh-derivative", "no-clip", "entropy-sign")}
    monkeypatch.setattr("ppo_np.gradcheck.BUGS", few)
    drawn = {json_report(capsys, "--hunt", n, "--answer", code=cli.FAILED)["inject"] for n in range(4)}
    assert drawn == {"no-clip", "entropy-sign"}


def test_a_wrong_entropy_shows_without_an_entropy_bonus(capsys, monkeypatch):
    def wrong(right, a):
        right()
        a.dentropies *= 3

    plant(monkeypatch, LOSS, wrong)
    report = json_report(capsys, "--ent-coef", "0", "--inject", "homemade", code=cli.FAILED)
    assert report["notes"] == [SECOND_CHECK]


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
        "no-policy-at-fork",
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


@pytest.mark.filterwarnings("ignore:invalid value encountered in dot:RuntimeWarning")  # without the JIT
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_gradient_that_is_not_a_number_is_wrong(capsys, monkeypatch, value):
    def wrong(right, a):
        right()
        a.dvalues[3] = value

    plant(monkeypatch, LOSS, wrong)
    report = json_report(capsys, "--inject", "homemade", code=cli.FAILED)
    row = {check["name"]: check for check in report["checks"]}["value_loss/dvalues"]
    assert (row["verdict"], row["worst"], row["analytic"]) == ("WRONG", "[3]", None)
    assert row["hint"] == "not a finite number"


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        (["--ent-coef", "0"], SECOND_CHECK),
        (["--vf-coef", "0"], "vf_coef is 0: the value loss's gradient is not exercised."),
        (["--no-clip-vloss"], "clip_vloss is off: the value loss has one branch only."),
        (["--clip-coef", "1.5"], "clip_coef is at least 1: no ratio can be below 1 - clip_coef."),
    ],
)
def test_what_is_left_out_is_said(capsys, settings, note):
    report = json_report(capsys, *settings, code=cli.DONE)
    assert report["notes"] == [note]
    unseen = {c["name"] for c in report["checks"] if c["hint"] == "zero or below the floor: nothing was compared"}
    assert unseen >= {"--vf-coef": {TERMS[2]}}.get(settings[0], set())
    assert TERMS[1] not in unseen


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--env-id", SEQUENCE], "observation space is Sequence(Discrete(2), stack=False), but it must be one that"),
        (["--env-id", DICT], "action space is Dict('a': Discrete(2)), but it must be Discrete"),
        (["--env-id", "Nope-v9"], "env_id is 'Nope-v9'"),
        (["--preset", "nope"], "preset is 'nope', but it must be one of "),
        (["--ent-coef", "-1"], "ent_coef is -1.0"),
        (["--inject", "no-clip", "--hunt", "3"], "hunt is 3 and inject is 'no-clip', but only one of the two"),
        (["--answer"], "answer is given, but it needs --hunt with the number of a hunt"),
        (["--inject", "nope"], "inject is 'nope', but it must be one of no-ratio, no-clip"),
        (["--inject", "tanh-derivative"], "shows only with activation tanh and a hidden layer"),
        (["--inject", "relu-derivative-1", "--activation", "tanh"], "shows only with activation relu"),
        (["--inject", "relu-derivative-1", "--shared-sizes"], "shows only with activation relu and a hidden layer"),
        (["--inject", "no-value-at-fork", "--shared-sizes"], "shows only with vf_coef > 0 and shared layers"),
        (["--inject", "weight-not-transposed", "--shared-sizes", "3", "4"], "two equal hidden layers in a row"),
        (["--inject", "entropy-sign", "--ent-coef", "0"], "shows only with ent_coef > 0"),
        (["--inject", "log-x-twice", "--env-id", BOX], "shows only with action_distribution beta"),
        (["--inject", "jacobian-moves", "--env-id", BOX], "shows only with action_distribution squashed"),
        (["--inject", "log-std-summed", "--env-id", BOX], "shows only with log_std state and action_distribution gaus"),
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


@needs_jit
def test_the_articles_network(capsys):
    assert run(main, "--json") == cli.DONE
    report = json.loads(capsys.readouterr().out)
    assert report["parameters"] == 1_063_941
    assert len(report["checks"]) == 12
