"""The worked functions of lessons 6 to 10 are the kernels in float64, at the points of their exercises."""

from functools import cache

import numpy as np
import pytest

from kernels import advantage, categorical, loss
from ppo_np.course.grading import points_rng
from ppo_np.course.lesson import WORKED, lesson_of, load

SEEDS = range(5)


@cache
def worked(number):
    lesson = lesson_of(str(number))
    return load(lesson.source, WORKED / f"{lesson.name}.py", [WORKED])


def exercise(number, function):
    return next(one for one in lesson_of(str(number)).exercises if one.function == function)


def points(number, function, seeds=SEEDS):
    """Every point of an exercise at all seeds."""
    one = exercise(number, function)
    return [point for seed in seeds for point in one.points(points_rng(seed, lesson_of(str(number)).name, function))]


def result(number, function, point):
    return exercise(number, function).result(getattr(worked(number), function), point)


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", [0, 1])
def test_categorical_forward(seed):
    for point in points(6, "categorical_forward", [seed]):
        outputs = np.empty_like(point.logits), *np.empty((2, len(point.logits)))
        categorical.categorical_forward(point.logits, point.actions, *outputs)
        for mine, kernels in zip(result(6, "categorical_forward", point), outputs, strict=True):
            assert_close(mine, kernels)


@pytest.mark.parametrize("seed", [0, 1])
def test_categorical_backward(seed):
    for point in points(6, "categorical_backward", [seed]):
        dlogits = np.empty_like(point.logits)
        arguments = point.dlogprobs, point.dentropies, point.actions, point.log_probs, point.entropies
        categorical.categorical_backward(*arguments, dlogits)
        assert_close(result(6, "categorical_backward", point), dlogits)


def test_categorical_sample():
    for point in points(7, "categorical_sample"):
        actions, logprobs = np.empty(len(point.logits), np.int64), np.empty(len(point.logits))
        categorical.categorical_sample(point.logits, point.uniforms, np.empty_like(point.logits), actions, logprobs)
        mine = result(7, "categorical_sample", point)
        np.testing.assert_array_equal(mine[0], actions)
        assert_close(mine[1], logprobs)


def test_rounding_leaves_sums_below_1_at_every_seed():
    found = [p for p in points(7, "categorical_sample") if p.label == "u is the largest number below 1"]
    assert [len(point.logits) for point in found] == [4] * len(SEEDS)
    for point in found:
        sums = np.exp(worked(7).log_softmax(point.logits)).cumsum(axis=1)[:, -1]
        assert (sums <= point.uniforms).all()
        assert (point.uniforms < 1).all()


def test_the_policy_gradient_is_the_loss_of_ppo_at_the_old_policy():
    for point in points(8, "policy_gradient"):
        rows, old = len(point.actions), np.zeros((3, len(point.actions)))
        log_probs, logprobs, entropies = np.empty_like(point.logits), *np.empty((2, rows))
        categorical.categorical_forward(point.logits, point.actions, log_probs, logprobs, entropies)
        dlogprobs, dentropies, dvalues = np.empty((3, rows))
        advantages = point.returns - point.baselines
        constants = logprobs, old[0], advantages, old[1], 0.2, 0.0, 0.0, False, 0.2
        loss.ppo_loss_backward(1.0, logprobs, old[2], *constants, dlogprobs, dentropies, dvalues)
        dlogits = np.empty_like(point.logits)
        categorical.categorical_backward(dlogprobs, dentropies, point.actions, log_probs, entropies, dlogits)
        assert_close(result(8, "policy_gradient", point), dlogits)


def test_gae():
    for point in points(9, "gae"):
        advantages, returns = np.empty((2, *point.rewards.shape))
        arguments = [getattr(point, name) for name in exercise(9, "gae").arguments]
        advantage.gae(*arguments, advantages, returns)
        mine = result(9, "gae", point)
        assert_close(mine[0], advantages)
        assert_close(mine[1], returns)


def test_every_way_to_end_an_episode_occurs_at_every_seed():
    groups = exercise(9, "gae").groups
    for seed in SEEDS:
        counts = {}
        for point in points(9, "gae", [seed]):
            for name, rows in groups(point).items():
                counts[name] = counts.get(name, 0) + rows.sum()
        assert len(counts) == 4
        assert min(counts.values()) >= 5


def test_the_double_sum_of_the_exercise_is_the_kernel():
    one = exercise(9, "gae")
    for point in points(9, "gae", [3])[1:]:
        advantages, returns = np.empty((2, *point.rewards.shape))
        advantage.gae(*[getattr(point, name) for name in one.arguments], advantages, returns)
        assert_close(one.right(None, point)[0], advantages)
        assert_close(one.right(None, point)[1], returns)


def test_ratio_and_approx_kl():
    for point in points(10, "approx_kl"):
        rows = len(point.logprobs)
        zeros = np.zeros(rows)
        terms, dlogprobs = np.empty(6), np.empty(rows)
        loss.ppo_loss_forward(
            point.logprobs, zeros, zeros, point.old_logprobs, zeros, zeros, zeros, 0.2, 0.0, 0.0, False, 0.2, terms
        )
        assert_close(result(10, "approx_kl", point), terms[loss.LOSS_TERMS.index("approx_kl")])
        # The advantage -B and no clipping leave the ratio alone.
        loss.ppo_loss_backward(
            1.0, point.logprobs, zeros, point.old_logprobs, zeros, np.full(rows, -float(rows)), zeros, 1e9, 0.0, 0.0,
            False, 1e9, dlogprobs, np.empty(rows), np.empty(rows),
        )  # fmt: skip
        assert_close(result(10, "ratio", point), dlogprobs)
