"""Grades lesson 9: advantages of scripted episodes, against the double sum of the definition (no recursion)."""

from collections.abc import Mapping, Sequence

import numpy as np

from ppo_np.course.exercise import Exercise, Functions, Point

Script = Sequence[
    tuple[int, str]
]  # (length, end) of each episode; "T" terminated, "t" truncated, "Tt" both, "" goes on
KINDS = {"T": "terminated", "t": "truncated", "Tt": "terminated and truncated at once", "": "not over at the end"}
ARGUMENTS = ("rewards", "values", "final_values", "terminations", "truncations", "gamma", "gae_lambda")


def _point(rng: np.random.Generator, label: str, scripts: Sequence[Script], gamma: float, gae_lambda: float) -> Point:
    """Random rewards and values in episodes that follow these scripts, one for each environment."""
    shape = sum(length for length, _ in scripts[0]), len(scripts)
    rewards, final_values = rng.normal(1.0, 1.0, (2, *shape))
    terminations, truncations = np.zeros((2, *shape), bool)
    ends = np.empty(shape, object)  # how the episode of each row ends
    for n, script in enumerate(scripts):
        start = 0
        for length, end in script:
            start, last = start + length, start + length - 1
            terminations[last, n], truncations[last, n] = "T" in end, "t" in end
            ends[last + 1 - length : start, n] = end
    values = rng.normal(2.0, 2.0, (shape[0] + 1, shape[1]))
    return Point(
        label, rewards=rewards, values=values, final_values=4.0 + final_values, terminations=terminations,
        truncations=truncations, gamma=gamma, gae_lambda=gae_lambda, ends=ends,
    )  # fmt: skip


def _by_hand() -> Point:
    """Two environments with the same numbers: in the first, step 1 terminates; in the second, it is truncated."""
    both = np.ones((1, 2))
    rewards, values = np.array([[1.0], [2.0], [3.0]]) * both, np.array([[2.0], [4.0], [6.0], [8.0]]) * both
    final_values, ends = np.full((3, 2), 10.0), np.array([["T", "t"], ["T", "t"], ["", ""]], object)
    terminations, truncations = np.zeros((2, 3, 2), bool)
    terminations[1, 0] = truncations[1, 1] = True
    advantages = np.array([[0.5, 1.75], [-2.0, 3.0], [1.0, 1.0]])
    returns = np.array([[2.5, 3.75], [2.0, 7.0], [7.0, 7.0]])
    return Point(
        "worked by hand", (advantages, returns), rewards=rewards, values=values, final_values=final_values,
        terminations=terminations, truncations=truncations, gamma=0.5, gae_lambda=0.5, ends=ends,
    )  # fmt: skip


def _points(rng: np.random.Generator) -> list[Point]:
    def one(label: str, script: Script, gae_lambda: float | None = None) -> Point:
        gamma, drawn = rng.uniform(0.7, 0.98, 2)
        return _point(rng, label, [script], float(gamma), float(drawn) if gae_lambda is None else gae_lambda)

    a, b, c = (int(length) for length in rng.integers(2, 5, 3))
    several = [
        [(a, "t"), (1, "T"), (9 - a, "")], [(b, "T"), (1, "t"), (8 - b, "Tt"), (1, "T")], [(9, "T"), (1, "t")],
        [(1, "Tt"), (c, "t"), (9 - c, "t")],
    ]  # fmt: skip
    mixed: Script = [(2, "t"), (3, "T"), (2, "Tt"), (2, "")]
    return [
        _by_hand(),
        one("no episode ends", [(5, "")]),
        one("an episode terminates", [(a, "T"), (b, "")]),
        one("an episode is truncated", [(b, "t"), (c, "")]),
        one("both at once", [(c, "Tt"), (a, "")]),
        one("episodes of one step", [(1, "t"), (1, "T"), (1, "Tt"), (1, "t"), (1, "")]),
        one("lambda = 0", mixed, gae_lambda=0.0),
        one("lambda = 1", mixed, gae_lambda=1.0),
        _point(rng, "4 environments", several, 0.9, 0.8),
    ]


def _delta(point: Point, t: int, n: int) -> float:
    """The error of one step: what came out, minus what was expected."""
    if point.terminations[t, n]:
        later = 0.0
    elif point.truncations[t, n]:
        later = point.final_values[t, n]
    else:
        later = point.values[t + 1, n]
    return point.rewards[t, n] + point.gamma * later - point.values[t, n]


def _episode(point: Point, t: int, n: int) -> range:
    """The steps from t to the end of its episode, or of the rollout."""
    for last in range(t, len(point.rewards)):
        if point.terminations[last, n] or point.truncations[last, n]:
            return range(t, last + 1)
    return range(t, len(point.rewards))


def _double_sum(_: Functions, point: Point) -> tuple[np.ndarray, np.ndarray]:
    """A_t = sum_i (gamma lambda)^i delta_{t+i}, one entry after the other."""
    advantages = np.zeros(point.rewards.shape)
    for t, n in np.ndindex(advantages.shape):
        weight = point.gamma * point.gae_lambda
        advantages[t, n] = sum(weight ** (k - t) * _delta(point, k, n) for k in _episode(point, t, n))
    return advantages, advantages + point.values[:-1]


def _lambda_0(point: Point, result: tuple[np.ndarray, np.ndarray]) -> str | None:
    if point.gae_lambda != 0.0:
        return None
    for t, n in np.ndindex(point.rewards.shape):
        yours, right = result[0][t, n], _delta(point, t, n)
        if not np.isclose(yours, right):
            return (
                f"With lambda = 0, A_t is delta_t alone: {right:.4g} at t = {t}, not {yours:.4g}. Have you added "
                "something, or is your delta another one?"
            )
    return None


def _lambda_1(point: Point, result: tuple[np.ndarray, np.ndarray]) -> str | None:
    """With lambda = 1 the values of all states but the last cancel in R_t."""
    if point.gae_lambda != 1.0:
        return None
    for t, n in np.ndindex(point.rewards.shape):
        steps, gamma = _episode(point, t, n), point.gamma
        last = steps[-1]
        later = _delta(point, last, n) - point.rewards[last, n] + point.values[last, n]  # gamma V(s')
        right = sum(gamma ** (k - t) * point.rewards[k, n] for k in steps) + gamma ** (last - t) * later
        if not np.isclose(result[1][t, n], right):
            return (
                f"With lambda = 1, R_t is the discounted sum of the episode's rewards and of what follows it: "
                f"{right:.4g} at t = {t}, not {result[1][t, n]:.4g}. What is missing, or too much?"
            )
    return None


def _kinds(point: Point) -> Mapping[str, np.ndarray]:
    """Steps by how their episode ends (in any environment)."""
    return {f"episode {name}": (point.ends == end).any(axis=1) for end, name in KINDS.items()}


EXERCISES = [
    Exercise(
        "gae", ARGUMENTS, ("advantages", "returns"), _points, _double_sum, laws=(_lambda_0, _lambda_1), groups=_kinds
    )
]
