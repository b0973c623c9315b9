"""Masks in crash files and their replay, in gradcheck and explain, and in the commands."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from commands import run
from masked_runs import CONFIG, KINDS, every_kind, learned, masks_of
from sample_environments import Cards

from ppo_np import PPO, UserError, evaluate, train
from ppo_np.checking.crash_replay import recompute
from ppo_np.checking.next_minibatch import next_subject, off_policy_subject
from ppo_np.checking.numerical_check import check_gradients
from ppo_np.checking.walkthrough import as_json, walk
from ppo_np.errors import DivergedError
from ppo_np.learning.rollout import RolloutBuffer
from ppo_np.network import distributions
from ppo_np.network.tensor_trace import first_bad
from ppo_np.running import cli
from ppo_np.saving.checkpoint import read_checkpoint
from ppo_np.saving.crash_file import read_crash, write_crash

masked_backward = distributions.masked_categorical_backward


def with_the_wrong_sign_of_the_entropy(dlogprobs, dentropies, *arrays):
    masked_backward(dlogprobs, -dentropies, *arrays)


@every_kind
def test_a_crash_file_holds_the_masks_and_is_computed_again(tmp_path, monkeypatch, kind):
    gather, calls = RolloutBuffer.gather, []

    def spoiled(buffer, indices, policy, minibatch):
        gather(buffer, indices, policy, minibatch)
        calls.append(minibatch)
        if len(calls) >= 2:
            minibatch.returns[3] = np.nan

    monkeypatch.setattr(RolloutBuffer, "gather", spoiled)
    with pytest.raises(DivergedError) as caught:
        learned(CONFIG, partial(Cards, **KINDS[kind]))
    write_crash(tmp_path / "crash.h5", caught.value.crash)
    crash = read_crash(tmp_path / "crash.h5")
    assert crash.head.masked
    sides = KINDS[kind].get("sides", 1)
    np.testing.assert_array_equal(crash.arrays["action_mask"], masks_of(crash.arrays["obs"], sides))
    assert str(first_bad(iter(recompute(crash)))) == "returns at [3] is nan"
    for arrays, allowed in (
        ({name: array for name, array in crash.arrays.items() if name != "action_mask"}, "action masks do not fit"),
        (crash.arrays | {"action_mask": crash.arrays["action_mask"][:, 1:]}, "action masks do not fit"),
    ):
        with pytest.raises(UserError, match=allowed):
            recompute(replace(crash, arrays=arrays))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # without the JIT
def test_a_crash_while_acting_holds_the_masks(tmp_path):
    ppo = PPO(CONFIG)
    ppo.learn(lambda ppo, _: ppo.stop())
    ppo.policy.model.named(ppo.policy.model.params)["value/head/weight"][:] = 3e38
    with pytest.raises(DivergedError) as caught:
        ppo.learn()
    ppo.close()
    write_crash(tmp_path / "crash.h5", caught.value.crash)
    crash = read_crash(tmp_path / "crash.h5")
    assert crash.arrays["action_mask"].shape == (4, 5)
    assert str(first_bad(iter(recompute(crash)))).startswith("values at [")


@pytest.mark.filterwarnings("ignore:invalid value encountered in scalar multiply:RuntimeWarning")  # of the bug
@pytest.mark.parametrize("kind", ["Discrete", "MultiDiscrete"])
def test_gradcheck_and_explain_work_under_masks(kind, monkeypatch):
    monkeypatch.setattr(
        "ppo_np.checking.numerical_check.spaces_of",
        lambda _: (Cards().observation_space, Cards(**KINDS[kind]).action_space),
    )
    monkeypatch.setattr("ppo_np.checking.next_minibatch.spaces_of", lambda _: (
        Cards().observation_space, Cards(**KINDS[kind]).action_space,
    ))  # fmt: skip
    config = replace(CONFIG, activation="tanh", clip_coef=0.3)
    assert check_gradients(config).wrong == []
    walkthrough = walk(off_policy_subject(config))
    assert walkthrough.wrong == []
    (mask,) = [line for line in walkthrough.lines if line.name == "action_mask"]
    assert 0 in sum(mask.numbers, ())
    json.dumps(as_json(walkthrough), allow_nan=False)
    monkeypatch.setattr(
        distributions, "masked_categorical_backward",
        lambda dlogprobs, dentropies, mask, *arrays: distributions.categorical_backward(dlogprobs, dentropies, *arrays),
    )  # fmt: skip
    assert check_gradients(config).wrong != []
    monkeypatch.setattr(distributions, "masked_categorical_backward", with_the_wrong_sign_of_the_entropy)
    (hint, *_) = [check.hint for check in check_gradients(config).wrong if check.name == "loss/dlogits"]
    assert "the sign of the entropy's part is wrong" in hint


def test_explain_shows_the_next_minibatch_of_a_masked_run(tmp_path):
    ppo = PPO(CONFIG)
    ppo.learn(lambda ppo, _: ppo.stop())
    ppo.save(tmp_path / "checkpoint.h5")
    ppo.close()
    walkthrough = walk(next_subject(read_checkpoint(tmp_path / "checkpoint.h5")))
    assert walkthrough.wrong == []
    rows, minibatch = walkthrough.rows, walkthrough.subject.minibatch
    np.testing.assert_array_equal(minibatch.action_mask[rows], masks_of(minibatch.obs[rows], 1))


def test_training_films_and_evaluation_by_the_commands(tmp_path, capsys):
    """Cards raises an exception at an invalid action, which would end either command."""
    flags = [
        "--preset",
        "article",
        "--env-id",
        CONFIG.env_id,
        "--action-mask",
        "method:action_masks",
        "--shared-sizes",
        8,
    ]
    flags += ["--num-steps", 16, "--total-timesteps", 128, "--eval-every", 1, "--eval-episodes", 3]
    assert run(train.main, *flags, "--run-dir", tmp_path / "run", "--capture-video", "--video-every", 9) == cli.DONE
    assert list((tmp_path / "run").glob("**/*.mp4"))
    for more in ((), ("--stochastic",), ("--video", tmp_path / "film.mp4")):
        assert run(evaluate.main, tmp_path / "run", "--episodes", 5, *more) == cli.DONE
    assert (tmp_path / "film.mp4").exists()
    capsys.readouterr()
