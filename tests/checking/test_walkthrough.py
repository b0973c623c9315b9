"""The walk through a minibatch: the numbers are those of training, every gradient that of finite differences."""

import ast
import dataclasses
import re
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from conftest import needs_jit
from explain_cases import ACTIONS, NETWORKS, small, trained

from kernels.loss import LOSS_TERMS
from ppo_np import PPO, UserError
from ppo_np.checking.branches import SURROGATE_REGIONS, VALUE_BRANCHES
from ppo_np.checking.formulas import OF_DISTRIBUTION, SOURCES
from ppo_np.checking.next_minibatch import next_subject, off_policy_subject
from ppo_np.checking.planted_bugs import planted
from ppo_np.checking.regions import NO_ADVANTAGE, NO_CLIP, chosen_rows, regions_of, value_branches_of
from ppo_np.checking.walkthrough import as_json, walk
from ppo_np.network.minibatch import Minibatch
from ppo_np.saving.checkpoint import read_checkpoint

ROOT = Path(__file__).parents[2]
EVERY_SOURCE = [*SOURCES.values(), *chain(*(sources.values() for sources in OF_DISTRIBUTION.values()))]
NORMALIZED = {"norm_obs": True, "norm_reward": True}


def squeezed(text):
    return re.sub(r"\s+", " ", text)


def lines_of(walkthrough):
    return {line.name: line for line in walkthrough.lines}


@pytest.mark.parametrize("source", EVERY_SOURCE, ids=lambda source: f"{source.function} {source.formula[:12]}")
def test_a_formula_stands_in_its_file_and_its_function_exists(source):
    text = (ROOT / source.file).read_text()
    assert source.formula in squeezed(text)
    *parent, name = source.function.split(".")
    within = ast.parse(text).body
    for outer in parent:
        (within,) = [node.body for node in within if isinstance(node, ast.ClassDef) and node.name == outer]
    assert name in [node.name for node in within if isinstance(node, ast.FunctionDef)]


def next_update(path):
    """Metrics and the trained object after one more update of the run."""
    rows = []

    def after(ppo, metrics):
        rows.append(metrics)
        ppo.stop()

    ppo = PPO.load(path)
    ppo.learn(after)
    ppo.close()
    return rows[0], ppo.state


RUNS = {
    "Discrete": {"network": "shared"},
    "MultiDiscrete": {"network": "separate"} | NORMALIZED,
    "MultiBinary": {"network": "both", "norm_obs": True, "clip_vloss": False},
    "Box": {"network": "separate", "norm_adv": False, "norm_reward": True, "anneal_clip_coef": True},
}


@pytest.mark.parametrize("actions", ACTIONS)
def test_the_numbers_are_those_of_the_next_update_bit_for_bit(tmp_path, actions):
    path = tmp_path / "checkpoint.h5"
    trained(path, actions=actions, update_epochs=1, num_minibatches=1, **RUNS[actions])
    walkthrough = walk(next_subject(read_checkpoint(path)))
    metrics, state = next_update(path)
    lines = lines_of(walkthrough)
    terms = dict(zip(lines["loss"].columns, lines["loss"].numbers[0], strict=True))
    assert tuple(terms) == LOSS_TERMS
    assert {name: terms[name] for name in LOSS_TERMS[1:]} == {name: getattr(metrics, name) for name in LOSS_TERMS[1:]}
    assert lines["grad_norm"].numbers == ((metrics.grad_norm,),)
    optimizer = walkthrough.subject.optimizer
    assert walkthrough.subject.model.dtype == np.float32
    np.testing.assert_array_equal(walkthrough.subject.model.params, state.model.params)
    np.testing.assert_array_equal(optimizer.m, state.optimizer.m)
    np.testing.assert_array_equal(optimizer.v, state.optimizer.v)
    assert optimizer.steps == state.optimizer.steps == 3
    assert walkthrough.wrong == []


@pytest.mark.parametrize(("network", "blocks"), [("both", 1), pytest.param("shared", 3, marks=needs_jit)])
def test_a_later_minibatch_is_the_one_that_training_reaches(tmp_path, network, blocks):
    path = tmp_path / "checkpoint.h5"
    steps = 32 if blocks == 1 else 800
    settings = {"network": network, "learning_rate": 0.05, "num_steps": steps, "clip_coef": 0.01}
    trained(path, updates=1, update_epochs=3, num_minibatches=2, **settings)
    subject = next_subject(read_checkpoint(path), 6)
    assert subject.blocks == blocks
    walkthrough = walk(subject, rows=6)
    _, state = next_update(path)
    np.testing.assert_array_equal(subject.model.params, state.model.params)
    np.testing.assert_array_equal(subject.optimizer.v, state.optimizer.v)
    assert set(walkthrough.regions) == set(SURROGATE_REGIONS)
    assert set(lines_of(walkthrough)["region"].numbers[0]) == set(SURROGATE_REGIONS)
    assert walkthrough.wrong == []
    assert bool(lines_of(walkthrough)["grad_norm"].note) == (blocks > 1)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("actions", ACTIONS)
def test_every_gradient_is_that_of_its_finite_difference(actions, network):
    walkthrough = walk(off_policy_subject(small(actions, network, ent_coef=0.3, max_grad_norm=0.1)), rows=6)
    compared = [line for line in walkthrough.lines if line.differences]
    model = walkthrough.subject.model
    assert {line.name for line in compared} >= {f"d{name}" for name in model.shapes}
    assert ("fork dh" in lines_of(walkthrough)) == bool(model.sizes["shared"])
    for line in compared:
        assert line.agrees
        exact, numeric = np.array(line.exact), np.array(line.differences, float)
        np.testing.assert_allclose(line.numbers, exact, rtol=1e-14)
        assert exact.shape == numeric.shape == (len(line.labels), len(line.columns))
        assert np.isfinite(numeric).sum() >= numeric.size / 2
        error = np.nan_to_num(np.abs(exact - numeric))
        assert error.max() <= 1e-6 * np.abs(exact).max() + 1e-9
    assert (
        walkthrough.verdict == f"All {len(compared)} gradients agree with central differences of the loss in float64."
    )


def test_all_six_regions_and_all_six_branches_are_shown_in_six_rows():
    lines = lines_of(walk(off_policy_subject(small()), rows=6))
    for name, expected, gradient in (
        ("region", SURROGATE_REGIONS, "dlogprobs"),
        ("value branch", VALUE_BRANCHES, "dvalues"),
    ):
        (words,) = lines[name].numbers
        assert sorted(words) == sorted(expected)
        assert [number == 0 for number in lines[gradient].numbers[0]] == [word.endswith("flat") for word in words]


def test_the_forward_numbers_are_those_of_plain_numpy():
    config = small()
    walkthrough = walk(off_policy_subject(config), rows=6, units=4)
    subject, before = walkthrough.subject, walkthrough.nudged.model
    minibatch, lines = subject.minibatch, lines_of(walkthrough)
    tensors, rows = before.named(before.params), walkthrough.rows
    h = minibatch.obs[rows]
    for layer in ("shared/0", "shared/1"):
        z = h @ tensors[f"{layer}/weight"] + tensors[f"{layer}/bias"]
        h = np.tanh(z)
        for name, array in (("z", z), ("h", h)):
            expected = [*array.T[:4], np.linalg.norm(array, axis=1)]
            np.testing.assert_allclose(lines[f"{layer} {name}"].numbers, expected, atol=1e-14)
    logits = h @ tensors["policy/head/weight"] + tensors["policy/head/bias"]
    values = (h @ tensors["value/head/weight"] + tensors["value/head/bias"])[:, 0]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    logprobs = np.log(p[np.arange(6), minibatch.actions[rows]])
    ratio, a, e = np.exp(logprobs - minibatch.old_logprobs[rows]), minibatch.advantages[rows], config.clip_coef
    surrogate = -np.minimum(a * ratio, a * np.clip(ratio, 1 - e, 1 + e))
    old_values, returns = minibatch.old_values[rows], minibatch.returns[rows]
    clipped = old_values + np.clip(values - old_values, -e, e)
    for name, expected in {
        "logits": [*logits.T, np.linalg.norm(logits, axis=1)], "values": [values], "log_probs": np.log(p).T,
        "probabilities": p.T, "logprobs": [logprobs], "entropies": [-(p * np.log(p)).sum(axis=1)], "ratio": [ratio],
        "surrogate": [surrogate], "clipped_values": [clipped],
        "value error": [np.maximum((values - returns) ** 2, (clipped - returns) ** 2) / 2],
        "obs": [*minibatch.obs[rows].T, np.linalg.norm(minibatch.obs[rows], axis=1)], "returns": [returns],
    }.items():  # fmt: skip
        np.testing.assert_allclose(lines[name].numbers, expected, rtol=1e-12, atol=1e-14, err_msg=name)


@pytest.mark.parametrize(("actions", "name"), [("MultiBinary", "probabilities"), ("Box", "zeta")])
def test_what_only_one_distribution_has(actions, name):
    walkthrough = walk(off_policy_subject(small(actions)), rows=2, units=9)
    outputs = walkthrough.activations.policy_outputs[walkthrough.rows]
    drawn = walkthrough.subject.minibatch.actions[walkthrough.rows]
    expected = 1 / (1 + np.exp(-outputs))
    if actions == "Box":
        log_std = walkthrough.nudged.model.named(walkthrough.nudged.model.params)["policy/log_std"]
        assert lines_of(walkthrough)["log_std"].numbers == (tuple(log_std),)
        expected = (drawn - outputs) / np.exp(log_std)
    np.testing.assert_allclose(lines_of(walkthrough)[name].numbers, expected.T)


def test_the_value_only_part_has_a_clip_range_a_norm_and_a_learning_rate_of_its_own(tmp_path):
    """As in training: the next update of a run, bit for bit, with the settings that are in force by then."""
    path = tmp_path / "checkpoint.h5"
    own = {"value_clip_coef": 0.3, "value_learning_rate": 2e-3, "max_grad_norm_value": 0.05, "max_grad_norm": 0.1}
    changing = {"kl_adaptive_lr": 1e-9, "learning_rate": 1e-3, "clip_coef_schedule": "exponential"}
    trained(path, update_epochs=2, num_minibatches=1, network="both", **own, **changing)
    subject = next_subject(read_checkpoint(path), 2)
    config = subject.config
    assert config.learning_rate == 1e-3 / 1.5 / 1.5  # after two updates whose KL was too large
    np.testing.assert_allclose([config.value_learning_rate, config.value_clip], [2e-3 / 2.25, 1.5 * config.clip_coef])
    walkthrough = walk(subject)
    assert not walkthrough.wrong
    lines = lines_of(walkthrough)
    assert lines["clip factor"].labels == ("others", "value only")
    assert [row[1] for row in lines["clip factor"].numbers] == [0.1, 0.05]
    assert lines["theta"].note.endswith("lr = 0.000444444, that of the value 0.000888889")
    metrics, state = next_update(path)
    assert metrics.learning_rate == config.learning_rate
    np.testing.assert_array_equal(subject.model.params, state.model.params)
    np.testing.assert_array_equal(subject.optimizer.v, state.optimizer.v)


def test_the_step_is_that_of_the_formulas():
    config = small(max_grad_norm=0.1, learning_rate=0.01)
    walkthrough = walk(off_policy_subject(config))
    lines, grads = lines_of(walkthrough), walkthrough.nudged.model.grads
    norm = np.linalg.norm(grads)
    assert lines["clip factor"].numbers == (pytest.approx((norm, 0.1, 0.1 / norm)),)
    g = grads * 0.1 / norm
    step = -0.01 * g / (np.abs(g) + config.adam_eps)  # in the first step mhat = g and vhat = g^2
    weight = {
        k: walkthrough.nudged.model.named(v)["policy/head/weight"].flat[:3] for k, v in {"g": g, "s": step}.items()
    }
    np.testing.assert_allclose(lines["g, clipped"].numbers, [[*weight["g"], 0.1]])
    np.testing.assert_allclose(lines["m"].numbers[1], [*0.1 * weight["g"], 0.01])
    np.testing.assert_allclose(lines["v"].numbers[1], [*0.001 * weight["g"] ** 2, 0.001 * np.linalg.norm(g**2)])
    np.testing.assert_allclose(lines["theta"].numbers[1], [*weight["s"], np.linalg.norm(step)])
    ((before, after, change),) = lines["change of the loss, real"].numbers
    np.testing.assert_allclose([before, change], [walkthrough.subject.loss_terms[0], after - before])
    np.testing.assert_allclose(change, lines["change of the loss, predicted"].numbers[0][0], rtol=0.1)
    assert change < 0


@pytest.mark.parametrize(
    ("bug", "wrong"),
    [
        ("no-clip", {"dlogprobs"}),
        ("entropy-without-h", {"dlogits", "dpolicy/head/weight"}),
        ("no-value-at-fork", {"shared/1 dz", "dshared/0/bias"}),
        ("bias-mean", {"dshared/0/bias", "dvalue/head/bias"}),
    ],
)
def test_a_planted_bug_is_wrong_here_too(bug, wrong):
    config = small(ent_coef=0.3)
    with planted(bug, config):
        walkthrough = walk(off_policy_subject(config), rows=6)
    found = {line.name for line in walkthrough.wrong}
    assert found >= wrong
    assert "dvalues" not in found
    assert " gradients are WRONG: " in walkthrough.verdict
    assert all(line.agreement.startswith("WRONG") == (line in walkthrough.wrong) for line in walkthrough.lines)
    assert not as_json(walkthrough)["passed"]


def test_at_a_kink_nothing_is_compared():
    config = small(network="both")
    subject = off_policy_subject(config)
    subject.model.params[:] = 0
    subject.model.loss_and_gradient(subject.minibatch, subject.model.activations(subject.minibatch.rows), config)
    walkthrough = walk(subject)
    line = lines_of(walkthrough)["dshared/0/bias"]
    assert line.differences == ((None,) * 4,)
    assert line.agrees is None
    assert line.agreement.startswith("not compared")
    assert "could not be compared: a kink" in walkthrough.verdict


def test_as_json_has_no_number_that_json_has_not():
    document = as_json(walk(off_policy_subject(small(max_grad_norm=np.inf))))
    (line,) = [line for line in document["lines"] if line["name"] == "clip factor"]
    assert line["numbers"][0][1:] == [None, 1.0]


def regions(ratio, advantages, e=0.25):
    minibatch = Minibatch(np.zeros((len(ratio), 1)), None, np.array([np.zeros(len(ratio))] * 4))
    minibatch.advantages[:] = advantages
    return regions_of(np.log(ratio), minibatch, small(clip_coef=e))


def test_the_edges_of_the_surrogate_belong_to_the_inside():
    assert regions([0.5, 1, 2, 0.5, 1, 2], [1, 1, 1, -1, -1, -1]) == list(SURROGATE_REGIONS)
    assert regions([0.75, 1.25, 2], [1, -1, 0], e=0.25) == ["A>0, inside", "A<0, inside", NO_ADVANTAGE]


def test_the_branches_of_the_value_loss():
    values = np.array([1.0, 1.25, 1.5, 1.5, 0.5, 0.5, 0.5])
    returns = np.array([9.0, 9.0, 9.0, 0.0, 0.0, 9.0, 0.75])
    minibatch = Minibatch(np.zeros((7, 1)), None, np.array([np.ones(7)] * 3 + [returns]))
    expected = ["V=Vold, inside", "V>Vold, inside", "V>Vold, outside: flat", "V>Vold, outside"]
    expected += ["V<Vold, outside: flat", "V<Vold, outside", "V<Vold, outside"]
    assert value_branches_of(values, minibatch, small(clip_coef=0.25)) == expected
    own = small(clip_coef=9.0, value_clip_coef=0.25)
    assert value_branches_of(values, minibatch, own) == expected
    assert value_branches_of(values, minibatch, small(clip_coef=0.25, clip_vloss=False)) == [NO_CLIP] * 7


def test_the_rows_that_are_shown_differ_if_they_can():
    assert chosen_rows(["a", "a", "b", "a"], ["x", "x", "x", "y"], 3).tolist() == [0, 2, 3]
    assert chosen_rows(["a", "a", "b"], ["x", "y", "x"], 2).tolist() == [0, 2]
    assert chosen_rows(["a", "a", "b"], ["x", "x", "y"], 9).tolist() == [0, 2, 1]


def test_a_run_that_is_done_is_continued_by_a_rollout(tmp_path):
    path = tmp_path / "checkpoint.h5"
    trained(path)
    saved = read_checkpoint(path)
    done = dataclasses.replace(saved, config=dataclasses.replace(saved.config, total_timesteps=96))
    subject = next_subject(done)
    assert subject.title.endswith("(the run has done its 96 steps and is continued by 48)")
    assert subject.config.learning_rate == pytest.approx(2.5e-4 / 3)
    assert "continued" not in next_subject(saved).title


def test_environments_that_cannot_be_restored_are_named(tmp_path):
    path = tmp_path / "checkpoint.h5"
    trained(path)
    saved = dataclasses.replace(read_checkpoint(path), environments=None)
    with pytest.warns(RuntimeWarning, match="^environments 0, 1 could not be restored"):
        next_subject(saved)


def test_what_a_run_does_not_have_is_refused(tmp_path):
    path = tmp_path / "checkpoint.h5"
    trained(path, update_epochs=3, num_minibatches=2, learning_rate=0.1, target_kl=1e-9)
    saved = read_checkpoint(path)
    with pytest.raises(UserError, match="^minibatch is 7, but it must be in 1 to 6"):
        next_subject(saved, 7)
    with pytest.raises(UserError, match="^minibatch is 5, but it must be at most 2, where the next update ends.$"):
        next_subject(saved, 5)
    nameless = dataclasses.replace(saved, config=dataclasses.replace(saved.config, env_id=""))
    with pytest.raises(UserError, match="was trained on an env without an id"):
        next_subject(nameless)
