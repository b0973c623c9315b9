"""Grades lesson 7: actions from given uniform numbers, by the worked function and by the law of their shares."""

import numpy as np

from ppo_np.course.exercise import Exercise, Point

PROBS = np.array([[0.25, 0.75], [0.5, 0.5]])
UNIFORMS = np.array([0.3, 0.1])
MARGIN = 1e-6  # between a drawn u and each edge, so that rounding decides nothing
EVEN = 1000
BELOW_ONE = np.nextafter(1.0, 0.0)  # the largest u
NEVER = -1000.0  # a logit whose probability is 0 in float64


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _drawn(rng: np.random.Generator, rows: int, actions: int, scale: float) -> Point:
    """A point in which no u is nearer than MARGIN to an edge."""
    logits = scale * rng.standard_normal((rows, actions))
    edges = _softmax(logits).cumsum(axis=1)
    uniforms = rng.random(rows)
    while np.abs(edges - uniforms[:, np.newaxis]).min() < MARGIN:
        uniforms = rng.random(rows)
    return Point(f"{rows} rows, {actions} actions", logits=logits, uniforms=uniforms)


def _even(rng: np.random.Generator) -> Point:
    """One distribution in many rows, with u spread evenly over [0, 1)."""
    logits = np.tile(rng.standard_normal(4), (EVEN, 1))
    offset = rng.uniform(0.1, 0.9)
    edges = _softmax(logits[:1]).cumsum()
    while np.abs((edges[:-1] * EVEN - offset + 0.5) % 1 - 0.5).min() < MARGIN * EVEN:
        offset = rng.uniform(0.1, 0.9)
    return Point("u spread evenly", logits=logits, uniforms=(np.arange(EVEN) + offset) / EVEN)


def _sums_below_one(rng: np.random.Generator) -> Point:
    """Rows whose probabilities add up to less than 1 by rounding, however they are computed; with the largest u."""
    logits = rng.uniform(-1, 1, (2000, 60))
    sums = []
    for l in (logits, logits - logits.max(axis=1, keepdims=True)):
        weights = np.exp(l)
        totals = weights.sum(axis=1, keepdims=True)
        log_probs = l - np.log(totals)
        sums += [probs.cumsum(axis=1)[:, -1] for probs in (weights / totals, np.exp(log_probs))]
    below = np.argsort(np.max(sums, axis=0))[:4]
    expected = np.full(len(below), 59), log_probs[below, 59]
    uniforms = np.full(len(below), BELOW_ONE)
    return Point("u is the largest number below 1", expected, logits=logits[below], uniforms=uniforms)


def _edges(rng: np.random.Generator) -> list[Point]:
    """u on the edges, where only > and the last action decide."""
    impossible = np.array([[NEVER, 0.0, 0.0], [NEVER, NEVER, 0.0]])
    second = np.array([1, 2]), np.array([-np.log(2), 0.0])
    one, uniforms = np.array([[-3.0], [0.0], [900.0]]), np.array([0.0, 0.5, BELOW_ONE])
    return [
        Point("u = 0, first actions of probability 0", second, logits=impossible, uniforms=np.zeros(2)),
        Point("one action", (np.zeros(3, int), np.zeros(3)), logits=one, uniforms=uniforms),
        _sums_below_one(rng),
    ]


def _points(rng: np.random.Generator) -> list[Point]:
    expected = np.array([1, 0]), np.log([0.75, 0.5])
    by_hand = Point("worked by hand", expected, logits=np.log([[1.0, 3.0], [2.0, 2.0]]), uniforms=UNIFORMS)
    drawn = [_drawn(rng, 12, 12, 0.5), _drawn(rng, 30, 4, 1.0), _drawn(rng, 20, 3, 3.0)]
    large = Point("logits up to 10,000", logits=1e4 * rng.uniform(-1, 1, (3, 4)), uniforms=rng.uniform(0.1, 0.9, 3))
    return [by_hand, *drawn, large, *_edges(rng), _even(rng)]


def _shares(point: Point, result: tuple[np.ndarray, np.ndarray]) -> str | None:
    """With evenly spread u, each action must be drawn in its share of the rows."""
    if point.label != "u spread evenly":
        return None
    probs, actions = _softmax(point.logits[:1])[0], np.asarray(result[0])
    for k, p in enumerate(probs):
        count = int((actions == k).sum())
        if abs(count - p * EVEN) > 1:
            return f"Action {k} has the probability {p:.3f}, but {EVEN} evenly spread u draw it {count} times: why?"
    return None


EXERCISES = [Exercise("categorical_sample", ("logits", "uniforms"), ("actions", "logprobs"), _points, laws=(_shares,))]
