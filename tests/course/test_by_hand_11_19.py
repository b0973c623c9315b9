"""The numbers worked by hand on the pages of lessons 11 to 19, 21 and 22: those of the exercises' points and functions.

A line is a chain `name = expression = number`, as in docs/gradients.md. A name stands for an argument of the point that
the exercise calls "worked by hand", or for what the worked function returns there.
"""

import ast
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from test_worked_numbers import mistake

from ppo_np.course.exercises.lesson19_loop import act
from ppo_np.course.grading import points_rng
from ppo_np.course.lesson import WORKED, lesson_of, load

DOCS = Path(__file__).parents[2] / "docs"


@cache
def worked(number):
    lesson = lesson_of(str(number))
    return load(lesson.source, WORKED / f"{lesson.name}.py", [WORKED])


@cache
def page(number):
    return (DOCS / "course" / f"{lesson_of(str(number)).name}.md").read_text(encoding="utf-8")


def point_and_result(number, function, label="worked by hand"):
    """The point with this label and what the worked function returns there."""
    lesson = lesson_of(str(number))
    exercise = next(one for one in lesson.exercises if one.function == function)
    points = exercise.points(points_rng(1, lesson.name, function))
    point = next(point for point in points if point.label == label)
    return point, exercise.result(getattr(worked(number), function), point)


def surrogate():
    point, loss = point_and_result(11, "policy_loss")
    rows = [np.array([b]) for b in (0, 1)]
    old, new, advantages = point.old_logprobs, point.logprobs, point.advantages
    term = np.array([worked(11).policy_loss(new[b], old[b], advantages[b], point.clip_coef) for b in rows])
    _, dlogprobs = point_and_result(11, "policy_loss_backward")
    # On a machine whose exp rounds outwards the point has another label, and a clip range that is wider by 1e-12.
    edges = worked(11).policy_loss_backward(1.0, np.log([1.25, 0.75]), np.zeros(2), np.array([2.0, -2.0]), 0.25 + 1e-12)
    return {
        "A": advantages, "rho": np.exp(new - old), "term": term, "L": loss, "dlogprobs": dlogprobs, "edges": edges,
    }  # fmt: skip


def value_loss():
    point, loss = point_and_result(12, "value_loss")
    moved = np.clip(point.values - point.old_values, -point.clip_coef, point.clip_coef)
    arrays = point.values, point.old_values, point.returns
    term = [2 * worked(12).value_loss(*(array[[b]] for array in arrays), point.clip_coef, True) for b in (0, 1)]
    _, dvalues = point_and_result(12, "value_loss_backward")
    _, edges = point_and_result(12, "value_loss_backward", "on the edges")
    return {
        "V": point.values, "V_old": point.old_values, "R": point.returns, "Vc": point.old_values + moved,
        "term": np.array(term), "L": loss, "dvalues": dvalues, "edges": edges,
    }  # fmt: skip


def whole_loss():
    _, loss = point_and_result(13, "ppo_loss")
    _, (dlogprobs, dentropies, dvalues) = point_and_result(13, "ppo_loss_backward")
    point, (logits, values, (shared, _, _)) = point_and_result(13, "actor_critic_forward")
    _, (dshared, dpolicy, dvalue) = point_and_result(13, "actor_critic_backward")
    parts = point.dlogits @ point.policy[0][0].T, point.dvalues[:, np.newaxis] @ point.value[0][0].T
    return {
        "L": loss, "dlogprobs": dlogprobs, "dentropies": dentropies, "dvalues": dvalues, "h": shared[1],
        "logits": logits, "values": values, "dW": dshared[0][0], "db": dshared[0][1], "dW_policy": dpolicy[0][0],
        "db_policy": dpolicy[0][1], "dW_value": dvalue[0][0][:, 0], "db_value": dvalue[0][1], "dh_policy": parts[0],
        "dh_value": parts[1], "dh": sum(parts), "dz": sum(parts) * (shared[1] > 0),
    }  # fmt: skip


def gaussian():
    point, (logprobs, entropies) = point_and_result(14, "gaussian_forward")
    _, (dmeans, dlog_std) = point_and_result(14, "gaussian_backward")
    zeta = (point.actions - point.means) / np.exp(point.log_std)
    return {"zeta": zeta, "logprobs": logprobs, "entropies": entropies, "dmeans": dmeans, "dlog_std": dlog_std}


def many_choices():
    point, (logprobs, entropies) = point_and_result(15, "bernoulli_forward")
    _, dlogits = point_and_result(15, "bernoulli_backward")
    _, (multi_logprobs, multi_entropies) = point_and_result(15, "multi_categorical_forward")
    _, multi_dlogits = point_and_result(15, "multi_categorical_backward")
    return {
        "q": 1 / (1 + np.exp(-point.logits)), "logprobs": logprobs, "entropies": entropies, "dlogits": dlogits,
        "multi_logprobs": multi_logprobs, "multi_entropies": multi_entropies, "multi_dlogits": multi_dlogits,
    }  # fmt: skip


def normalize():
    point, normalized = point_and_result(16, "normalize")
    _, (count, mean, variance) = point_and_result(16, "update_moments")
    return {
        "mean": point.advantages.mean(), "std": point.advantages.std(), "normalized": normalized, "new_count": count,
        "new_mean": mean[0], "new_variance": variance[0],
    }  # fmt: skip


def adam():
    norm_point, clipped = point_and_result(18, "clip_by_global_norm")
    flat = np.concatenate([grad.reshape(-1) for grad in norm_point.grads])
    point, (params1, m1, v1) = point_and_result(18, "adam")
    settings = point.learning_rate, point.beta1, point.beta2, point.eps
    params2, m2, v2 = worked(18).adam(params1, np.array([0.0, 2.0]), m1, v1, 2, *settings)
    return {
        "norm": np.linalg.norm(flat), "clipped": np.concatenate([grad.reshape(-1) for grad in clipped]),
        "m1": m1, "v1": v1, "params1": params1, "m2": m2, "v2": v2, "params2": params2,
    }  # fmt: skip


def loop():
    _, (rollout, next_obs) = point_and_result(19, "collect")
    parts = worked(19).minibatches(50, 4, np.random.default_rng(1))
    return rollout | {
        "next_obs": next_obs, "sizes": np.array([len(part) for part in parts]),
        "V": lambda *place: act(np.array([place]))[2][0],
    }  # fmt: skip


def masks():
    point, (p, logprobs, entropies) = point_and_result(21, "masked_categorical_forward")
    _, dlogits = point_and_result(21, "masked_categorical_backward")
    _, (drawn, _) = point_and_result(21, "masked_categorical_sample")
    forgotten, _, _ = worked(21).masked_categorical_forward(point.logits, point.mask | True, point.actions)
    return {
        "p": p, "logprobs": logprobs, "entropies": entropies, "dlogits": dlogits, "forgotten": np.exp(forgotten),
        "ratio": np.exp(forgotten[[0, 1], point.actions] - logprobs), "drawn": drawn,
    }  # fmt: skip


def squashed():
    point, logprobs = point_and_result(22, "squashed_forward")
    _, log_slopes = point_and_result(22, "log_slope")
    _, entropies = point_and_result(22, "squashed_entropy")
    _, (dmeans, dlog_std) = point_and_result(22, "squashed_backward")
    upstream, std = (point.dlogprobs, point.dentropies), np.exp(point.log_std)
    rows = [[array[[b]] for array in (*upstream, point.means, point.u, point.xi)] for b in (0, 1)]
    backward = worked(22).squashed_backward
    parts = [backward(dlogpi, dh, means, point.log_std, u, xi)[1] for dlogpi, dh, means, u, xi in rows]
    return {
        "x": point.low + (point.high - point.low) * (np.tanh(point.u) + 1) / 2, "log_slopes": log_slopes,
        "zeta": (point.u - point.means) / std, "sample": point.means + std * point.xi, "logprobs": logprobs,
        "entropies": entropies, "dmeans": dmeans, "from_row_0": parts[0], "from_row_1": parts[1], "dlog_std": dlog_std,
    }  # fmt: skip


NAMES = {
    11: surrogate, 12: value_loss, 13: whole_loss, 14: gaussian, 15: many_choices, 16: normalize, 18: adam, 19: loop,
    21: masks, 22: squashed,
}  # fmt: skip
of_each_page = pytest.mark.parametrize("number", NAMES)


def lines_of(number):
    by_hand = page(number).partition("## By hand")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```text\n(.*?)^```", by_hand, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@of_each_page
def test_the_numbers_worked_by_hand_are_right(number):
    names, lines = NAMES[number](), lines_of(number)
    assert len(lines) >= 5
    assert [found for line in lines if (found := mistake(line, names))] == []


@of_each_page
def test_each_changed_digit_is_found(number):
    names = NAMES[number]()
    for line in lines_of(number):
        changed = re.sub(r"\d(?=\D*$)", lambda digit: str((int(digit[0]) + 1) % 10), line)
        if re.search("True|False", line):
            changed = re.sub(r"False(?=\W*$)", "True", line)
        assert changed != line
        assert mistake(changed, names), line


@of_each_page
def test_every_line_begins_with_a_result(number):
    """Otherwise the page would be compared with itself."""
    results = NAMES[number]().keys()
    for line in lines_of(number):
        first = ast.parse(re.split("[=≈]", line)[0].strip(), mode="eval")
        assert {node.id for node in ast.walk(first) if isinstance(node, ast.Name)} & results, line
