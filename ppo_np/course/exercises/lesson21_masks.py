"""Grades lesson 21: a softmax over the valid actions, its gradient by differences, and draws under a mask.

The learner's log p is -inf for invalid actions. It is graded as p, in which these are 0.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ppo_np.course.exercise import ContractError, Exercise, Functions, Point, gradient

LOGITS = np.log([[1.0, 3.0, 4.0], [2.0, 5.0, 2.0]])
MASK = np.array([[True, True, False], [True, False, True]])
PROBS = np.array([[0.25, 0.75, 0.0], [0.5, 0.0, 0.5]])
ACTIONS = np.array([1, 0])
ENTROPIES = np.array([2 * np.log(2) - 0.75 * np.log(3), np.log(2)])
DLOGPROBS, DENTROPIES = np.array([1.0, -2.0]), np.array([2.0, 1.0])
RISE = 3 / 16 * np.log(3)  # slope of the first row's entropy with respect to its first logit
DLOGITS = np.array([[-0.25 + 2 * RISE, 0.25 - 2 * RISE, 0.0], [-1.0, 0.0, 1.0]])

MARGIN = 1e-6  # between a drawn u and each edge, so that rounding decides nothing
EVEN = 500
BELOW_ONE = np.nextafter(1.0, 0.0)  # the largest u


def _log_softmax(logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """log p over the valid actions."""
    shifted = np.where(mask, logits, -np.inf)
    shifted = shifted - shifted.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _plogp(log_probs: np.ndarray) -> np.ndarray:
    """p log p, 0 for invalid actions."""
    return np.exp(log_probs) * np.where(np.isfinite(log_probs), log_probs, 0)


def _point(
    label: str, logits: np.ndarray, mask: np.ndarray, actions: np.ndarray, upstream: Any, expected: object
) -> Point:
    """A point with what the forward pass gives there."""
    log_probs = _log_softmax(logits, mask)
    return Point(
        label, expected, logits=logits, mask=mask, actions=actions, dlogprobs=upstream[0], dentropies=upstream[1],
        log_probs=log_probs, entropies=-_plogp(log_probs).sum(axis=1),
    )  # fmt: skip


def _by_hand(expected: object) -> Point:
    return _point("worked by hand", LOGITS, MASK, ACTIONS, (DLOGPROBS, DENTROPIES), expected)


def _mask(rng: np.random.Generator, actions: np.ndarray, size: int) -> np.ndarray:
    """Booleans (B, size): row 0 has only valid actions, row 1 a single one, and in every row the action is valid."""
    mask = rng.random((len(actions), size)) < 0.6
    mask[0], mask[1] = True, False
    mask[np.arange(len(actions)), actions] = True
    mask[2:, :2] = actions[2:, np.newaxis] == [0, 1]  # some invalid ones in all other rows
    return mask


def _drawn(rng: np.random.Generator, rows: int, actions: int) -> Point:
    """A point with random logits, masks, actions and upstream gradients."""
    chosen = rng.integers(actions, size=rows)
    logits, mask = rng.standard_normal((rows, actions)), _mask(rng, chosen, actions)
    return _point(f"{rows} rows, {actions} actions", logits, mask, chosen, rng.standard_normal((2, rows)), None)


def _all_valid(rng: np.random.Generator) -> Point:
    logits, chosen = rng.standard_normal((3, 4)), rng.integers(4, size=3)
    return _point("all actions are valid", logits, np.ones((3, 4), bool), chosen, rng.standard_normal((2, 3)), None)


def _with_large(point: Point) -> Point:
    """The same point with a large positive logit for each invalid action."""
    logits = np.where(point.mask, point.logits, 1e10)
    return _point("invalid logits of 1e10", logits, point.mask, point.actions, np.zeros((2, len(logits))), None)


def _points(rng: np.random.Generator) -> list[Point]:
    return [_drawn(rng, 5, 4), _drawn(rng, 6, 5), _all_valid(rng)]


def _forward_points(rng: np.random.Generator) -> list[Point]:
    return [_by_hand((PROBS, np.log([0.75, 0.5]), ENTROPIES)), *_points(rng), _with_large(_drawn(rng, 4, 4))]


def _backward_points(rng: np.random.Generator) -> list[Point]:
    return [_by_hand(DLOGITS), *_points(rng)]


def _as_probabilities(function: Callable[..., Any], arguments: list[Any]) -> Any:
    """The result with p in place of log p: an infinite number has no differences."""
    result = function(*arguments)
    if isinstance(result, tuple | list) and len(result) == 3:
        return np.exp(result[0]), *result[1:]
    if result is None:
        return None
    raise ContractError("Your function must return 3 values: log_probs, logprobs, entropies.")


def _masked_backward(mine: Functions, point: Point) -> np.ndarray:
    """d sum(dlogprobs log pi + dentropies H) / d logits by differences of the learner's forward pass."""

    def loss(logits: np.ndarray) -> float:
        _, logprobs, entropies = mine.masked_categorical_forward(logits, point.mask, point.actions)
        return (point.dlogprobs * logprobs + point.dentropies * entropies).sum()

    return gradient(loss, point.logits)[0]


def _invalid_are_impossible(point: Point, result: tuple[np.ndarray, ...]) -> str | None:
    wrong = np.argwhere(~point.mask & (result[0] != 0))
    if not wrong.size:
        return None
    b, k = map(int, wrong[0])
    return f"Action {k} of row {b} is invalid, but its p is {result[0][b, k]:.4g}. What must log p be, so that p is 0?"


def _valid_sum_to_1(point: Point, result: tuple[np.ndarray, ...]) -> str | None:
    totals = np.where(point.mask, result[0], 0).sum(axis=1)
    if np.allclose(totals, 1, rtol=0, atol=1e-9):
        return None
    b = int(np.argmax(np.abs(totals - 1)))
    return f"The valid p of row {b} sum to {totals[b]:.4g}, not to 1: over which actions does the denominator run?"


def _entropy_in_range(point: Point, result: tuple[np.ndarray, ...]) -> str | None:
    entropies, counts = np.asarray(result[2]), point.mask.sum(axis=1)
    wrong = np.flatnonzero((entropies < -1e-9) | (entropies > np.log(counts) + 1e-9))
    if not wrong.size:
        return None
    b = int(wrong[0])
    return f"H of row {b} is {entropies[b]:.4g}. Can it be below 0, or above log {counts[b]}, with {counts[b]} valid?"


def _as_lesson_6(point: Point, result: tuple[np.ndarray, ...]) -> str | None:
    """Where all actions are valid, the mask changes nothing."""
    if not point.mask.all() or np.allclose(result[2], point.entropies, rtol=0, atol=1e-6):
        return None
    return "Where all actions are valid, log pi and H must be those of lesson 6, but your H is not."


def _invalid_get_no_gradient(point: Point, dlogits: np.ndarray) -> str | None:
    wrong = np.argwhere(~point.mask & (dlogits != 0))
    if not wrong.size:
        return None
    b, k = map(int, wrong[0])
    return f"Action {k} of row {b} is invalid, but its dlogits is {dlogits[b, k]:.4g}: is its logit in log pi or H?"


def _rows_sum_to_zero(point: Point, dlogits: np.ndarray) -> str | None:
    totals = np.where(point.mask, dlogits, 0).sum(axis=1)
    if np.allclose(totals, 0, rtol=0, atol=1e-9):
        return None
    b = int(np.argmax(np.abs(totals)))
    return f"The valid dlogits of row {b} sum to {totals[b]:.4g}, not to 0: what happens if all valid logits rise by 1?"


def _terms(point: Point) -> Mapping[str, Mapping[str, tuple[np.ndarray, float]]]:
    probs, one_hot = np.exp(point.log_probs), np.eye(point.mask.shape[1])[point.actions]
    dlogpi, dh = point.dlogprobs[:, np.newaxis], point.dentropies[:, np.newaxis]
    return {
        "dlogits": {
            "dlogpi 1[k = a]": (dlogpi * one_hot, 1),
            "dlogpi p": (dlogpi * probs, -1),
            "dH p log p": (dh * _plogp(point.log_probs), -1),
            "dH p H": (dh * probs * point.entropies[:, np.newaxis], -1),
            "dH p": (dh * probs, 0),
        }
    }


def _kinds(point: Point) -> Mapping[str, np.ndarray]:
    """Rows by the number of their valid actions."""
    counts, actions = point.mask.sum(axis=1), point.mask.shape[1]
    return {
        "all actions valid": counts == actions,
        "some invalid": (counts > 1) & (counts < actions),
        "one valid": counts == 1,
    }


def _draws(label: str, logits: np.ndarray, mask: np.ndarray, uniforms: np.ndarray, expected: object = None) -> Point:
    return Point(label, expected, logits=logits, mask=mask, uniforms=uniforms)


def _random_draws(rng: np.random.Generator, rows: int, actions: int) -> Point:
    """A point in which no u is nearer than MARGIN to an edge."""
    logits, mask = rng.standard_normal((rows, actions)), _mask(rng, rng.integers(actions, size=rows), actions)
    edges, uniforms = np.exp(_log_softmax(logits, mask)).cumsum(axis=1), rng.random(rows)
    while np.abs(edges - uniforms[:, np.newaxis]).min() < MARGIN:
        uniforms = rng.random(rows)
    return _draws(f"{rows} rows, {actions} actions", logits, mask, uniforms)


def _sums_below_one(rng: np.random.Generator) -> Point:
    """Rows whose valid p add up to less than 1 by rounding, however they are computed; the last actions are invalid."""
    logits, mask = rng.uniform(-1, 1, (600, 63)), np.ones((600, 63), bool)
    mask[:, 60:] = False
    sums = []
    for valid in (logits[:, :60], np.where(mask, logits, -np.inf)):
        for l in (valid, valid - valid.max(axis=1, keepdims=True)):
            weights = np.exp(l)
            for totals in (weights.sum(axis=1, keepdims=True), weights.cumsum(axis=1)[:, -1:]):  # in another order
                sums += [p.cumsum(axis=1)[:, -1] for p in (weights / totals, np.exp(l - np.log(totals)))]
    below = np.argsort(np.max(sums, axis=0))[:4]
    expected = np.full(len(below), 59), _log_softmax(logits, mask)[below, 59]
    uniforms = np.full(len(below), BELOW_ONE)
    return _draws("u is the largest number below 1", logits[below], mask[below], uniforms, expected)


def _even(rng: np.random.Generator) -> Point:
    """One distribution in many rows, with u spread evenly over [0, 1). The first and the last action are invalid."""
    logits, mask = np.tile(rng.standard_normal(5), (EVEN, 1)), np.tile([False, True, False, True, False], (EVEN, 1))
    offset = rng.uniform(0.1, 0.9)
    edge = np.exp(_log_softmax(logits[:1], mask[:1]))[0, 1]
    while abs((edge * EVEN - offset + 0.5) % 1 - 0.5) < MARGIN * EVEN:
        offset = rng.uniform(0.1, 0.9)
    return _draws("u spread evenly", logits, mask, (np.arange(EVEN) + offset) / EVEN)


def _sample_points(rng: np.random.Generator) -> list[Point]:
    late = np.array([[False, True, True], [False, False, True], [False, True, True]])
    logits = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, -1000.0, 0.0]])  # a valid action with p = 0, too
    first = np.array([1, 2, 2]), np.array([-np.log(2), 0.0, 0.0])
    return [
        _draws("worked by hand", LOGITS, MASK, np.array([0.3, 0.6]), (np.array([1, 2]), np.log([0.75, 0.5]))),
        _random_draws(rng, 20, 4), _random_draws(rng, 12, 6),
        _draws("u = 0, first actions invalid", logits, late, np.zeros(3), first),
        _draws("invalid logits of 1e10", np.where(late, logits, 1e10), late, np.array([0.25, 0.5, 0.75]), first),
        _sums_below_one(rng), _even(rng),
    ]  # fmt: skip


def _only_valid(point: Point, result: tuple[np.ndarray, np.ndarray]) -> str | None:
    actions = np.asarray(result[0])
    inside = (actions >= 0) & (actions < point.mask.shape[1])
    valid = inside & point.mask[np.arange(len(actions)), np.where(inside, actions, 0)]
    if valid.all():
        return None
    b = int(np.argmin(valid))
    return f"You have drawn action {actions[b]} in row {b}, which is invalid (at the point: {point.label})."


EXERCISES = [
    Exercise(
        "masked_categorical_forward", ("logits", "mask", "actions"), ("p", "logprobs", "entropies"), _forward_points,
        laws=(_invalid_are_impossible, _valid_sum_to_1, _entropy_in_range, _as_lesson_6), groups=_kinds,
        call=_as_probabilities,
    ),
    Exercise(
        "masked_categorical_backward", ("dlogprobs", "dentropies", "mask", "actions", "log_probs", "entropies"),
        ("dlogits",), _backward_points, _masked_backward, rests_on=("masked_categorical_forward",),
        laws=(_invalid_get_no_gradient, _rows_sum_to_zero), terms=_terms, groups=_kinds,
    ),
    Exercise(
        "masked_categorical_sample", ("logits", "mask", "uniforms"), ("actions", "logprobs"), _sample_points,
        laws=(_only_valid,),
    ),
]  # fmt: skip
