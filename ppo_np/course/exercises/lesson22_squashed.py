"""Grades lesson 22: the density of squashed actions, a sample of their entropy, and the gradient by differences."""

from collections.abc import Mapping
from statistics import NormalDist

import numpy as np

from ppo_np.course.exercise import Exercise, Functions, Point, gradient

LOG_2, LOG_3 = np.log(2), np.log(3)
MEANS, LOG_STD = np.array([[0.0, 0.0], [LOG_2, LOG_3]]), np.log([2.0, 1.0])
LOW, HIGH = np.array([-1.0, 0.0]), np.array([1.0, 4.0])
U = np.array([[LOG_2, 0.0], [-LOG_2, LOG_3]])
XI = np.array([[LOG_3 / 2, LOG_2], [0.0, -LOG_3]])  # the samples are [log 3, log 2] and [log 2, 0]
SLOPES, SAMPLE_SLOPES = np.array([[16.0, 25.0], [16.0, 9.0]]) / 25, np.array([[9.0, 16.0], [16.0, 25.0]]) / 25
DLOGPROBS, DENTROPIES = np.array([1.0, -2.0]), np.array([0.5, 1.0])
CONSTANT = LOG_2 + np.log(2 * np.pi)  # of two components with sigma = 2 and 1
PIECES = 400
NODES = 40


def _by_hand(expected: object) -> Point:
    return Point(
        "worked by hand", expected, means=MEANS, log_std=LOG_STD, u=U, xi=XI, low=LOW, high=HIGH,
        dlogprobs=DLOGPROBS, dentropies=DENTROPIES,
    )  # fmt: skip


def _drawn(rng: np.random.Generator, rows: int, components: int, upstream: tuple[int, int] = (1, 1)) -> Point:
    """u of an older policy, xi apart from it, and a Box that does not have its middle at 0."""
    means, xi = rng.standard_normal((2, rows, components))
    log_std, low = rng.uniform(-1, 0.7, components), rng.uniform(-3, 1, components)
    u = means + np.exp(log_std) * rng.standard_normal((rows, components))
    dlogprobs, dentropies = rng.standard_normal((2, rows)) * np.array(upstream)[:, np.newaxis]
    words = {(1, 1): "", (0, 1): ", dlogpi = 0", (1, 0): ", dH = 0"}[upstream]
    return Point(
        f"{rows} rows, {components} components{words}", means=means, log_std=log_std, u=u, xi=xi, low=low,
        high=low + rng.uniform(3, 9, components), dlogprobs=dlogprobs, dentropies=dentropies,
    )  # fmt: skip


def _far(rng: np.random.Generator) -> Point:
    """Means of several hundred, of either sign: the actions are at the bounds."""
    values = vars(_drawn(rng, 2, 2))
    move = np.array([[400.0, -30.0], [30.0, -400.0]])
    far = {"label": "|u| of about 30 and 400", "means": values["means"] + move, "u": values["u"] + move}
    return Point(**(values | far))


def _slope_points(rng: np.random.Generator) -> list[Point]:
    return [
        Point("worked by hand", np.log(SLOPES), u=U),
        Point("10 rows, 3 components", u=2 * rng.standard_normal((10, 3))),
        Point("|u| of 20 and 40", u=np.array([[20.0, -20.0], [40.0, -40.0]])),
        Point("|u| of 500", u=np.array([[500.0], [-500.0]])),
    ]


def _never_above_0(point: Point, result: np.ndarray) -> str | None:
    wrong = np.argwhere(result > 1e-9)
    if not wrong.size:
        return None
    place = tuple(map(int, wrong[0]))
    return f"At u = {point.u[place]:.4g} your logarithm is {result[place]:.4g}: is the slope of tanh ever above 1?"


def _pieces_of_the_box(rng: np.random.Generator) -> Point:
    """One Gaussian in many rows, whose actions are the middles of pieces of the Box; `lengths` of the pieces."""
    mean, std, low, width = rng.uniform(-1, 1), rng.uniform(0.5, 1.2), rng.uniform(-3, 1), rng.uniform(3, 9)
    edges = mean + std * np.linspace(-6, 6, PIECES + 1)
    x = low + width * (np.tanh(edges) + 1) / 2
    return Point(
        "one policy, pieces of the Box", means=np.full((PIECES, 1), mean), log_std=np.log([std]),
        u=(edges[:-1] + edges[1:])[:, np.newaxis] / 2, low=np.array([low]), high=np.array([low + width]),
        lengths=np.diff(x), probs=np.diff([NormalDist(mean, std).cdf(u) for u in edges]),
    )  # fmt: skip


def _integral_is_1(point: Point, logprobs: np.ndarray) -> str | None:
    if not hasattr(point, "lengths"):
        return None
    total = float((np.exp(logprobs) * point.lengths).sum())
    if abs(total - 1) < 1e-3:
        return None
    return f"The integral of your density over the Box is {total:.4g}, not 1: by what is the density of u divided?"


def _many_normals(rng: np.random.Generator) -> Point:
    """One Gaussian in many rows, with the nodes of Gauss and Hermite as xi.

    `entropy` of the actions comes from the probabilities of pieces of the Box and their lengths, without a formula for
    the density.
    """
    point = _pieces_of_the_box(rng)
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return Point(
        "one policy, many xi", means=point.means[:NODES], log_std=point.log_std, xi=nodes[:, np.newaxis],
        low=point.low, high=point.high, weights=weights / weights.sum(),
        entropy=-float((point.probs * np.log(point.probs / point.lengths)).sum()),
    )  # fmt: skip


def _mean_is_the_entropy(point: Point, entropies: np.ndarray) -> str | None:
    if not hasattr(point, "weights"):
        return None
    mean = float((point.weights * entropies).sum())
    if abs(mean - point.entropy) < 1e-3:
        return None
    return f"The mean of your H over xi is {mean:.4g}, but the actions in the Box have the entropy {point.entropy:.4g}."


def _points(rng: np.random.Generator) -> list[Point]:
    return [_drawn(rng, 5, 3), _drawn(rng, 4, 1), _drawn(rng, 1, 2)]


def _forward_points(rng: np.random.Generator) -> list[Point]:
    zeta_squares = np.array([LOG_2**2 / 4, LOG_2**2])
    logprobs = -zeta_squares / 2 - CONSTANT - np.log(SLOPES.prod(axis=1)) - LOG_2
    return [_by_hand(logprobs), *_points(rng), _far(rng), _pieces_of_the_box(rng)]


def _entropy_points(rng: np.random.Generator) -> list[Point]:
    entropies = CONSTANT + 1 + np.log(SAMPLE_SLOPES.prod(axis=1)) + LOG_2
    return [_by_hand(entropies), *_points(rng), _far(rng), _many_normals(rng)]


def _backward_points(rng: np.random.Generator) -> list[Point]:
    dmeans = np.array([[LOG_2 / 4 - 0.8, -0.6], [LOG_2 - 1.2, 0.0]])
    first = LOG_2**2 / 4 - 1 + 0.5 - 0.8 * LOG_3 - 2 * (LOG_2**2 - 1) + 1
    second = -1 + 0.5 - 0.6 * LOG_2 + 2 + 1
    one_only = [_drawn(rng, 4, 2, (0, 1)), _drawn(rng, 4, 2, (1, 0))]
    return [_by_hand((dmeans, np.array([first, second]))), *_points(rng), *one_only]


def _squashed_backward(mine: Functions, point: Point) -> tuple[np.ndarray, ...]:
    """By differences of the learner's log pi at the fixed u, and of the learner's H at the fixed xi."""

    def loss(means: np.ndarray, log_std: np.ndarray) -> float:
        logprobs = mine.squashed_forward(means, log_std, point.u, point.low, point.high)
        entropies = mine.squashed_entropy(means, log_std, point.xi, point.low, point.high)
        return (point.dlogprobs * logprobs + point.dentropies * entropies).sum()

    return gradient(loss, point.means, point.log_std)


def _as_lesson_14(point: Point, result: tuple[np.ndarray, np.ndarray]) -> str | None:
    """Without the entropy, the gradient is that of the Gaussian."""
    zeta = (point.u - point.means) / np.exp(point.log_std)
    dmeans = point.dlogprobs[:, np.newaxis] * zeta / np.exp(point.log_std)
    if point.dentropies.any() or np.allclose(result[0], dmeans, rtol=0, atol=1e-6):
        return None
    return "Where dH = 0, dmeans must be that of lesson 14, but yours is not. Does the slope at the stored u change?"


def _towards_the_middle(point: Point, result: tuple[np.ndarray, np.ndarray]) -> str | None:
    """The entropy alone moves mu so that the sample goes to the middle of the Box."""
    if point.dlogprobs.any():
        return None
    sample = point.means + np.exp(point.log_std) * point.xi
    wrong = np.argwhere(result[0] * sample * point.dentropies[:, np.newaxis] > 1e-9)
    if not wrong.size:
        return None
    b, a = map(int, wrong[0])
    return f"dlogpi = 0, and the sample of row {b} is {sample[b, a]:.4g}: does H rise if it moves away from 0?"


def _terms(point: Point) -> Mapping[str, Mapping[str, tuple[np.ndarray, float]]]:
    std = np.exp(point.log_std)
    zeta, sample, ones = (point.u - point.means) / std, point.means + std * point.xi, np.ones_like(point.means)
    dlogpi, dh = point.dlogprobs[:, np.newaxis], point.dentropies[:, np.newaxis]
    return {
        "dmeans": {
            "dlogpi zeta / sigma": (dlogpi * zeta / std, 1),
            "dH tanh(mu + sigma xi)": (dh * np.tanh(sample), -2),
            "dH tanh(u)": (dh * np.tanh(point.u), 0),
            "dlogpi tanh(u)": (dlogpi * np.tanh(point.u), 0),
        },
        "dlog_std": {
            "sum_b dlogpi zeta^2": ((dlogpi * zeta**2).sum(axis=0), 1),
            "sum_b dlogpi": ((dlogpi * ones).sum(axis=0), -1),
            "sum_b dH": ((dh * ones).sum(axis=0), 1),
            "sum_b dH sigma xi tanh(mu + sigma xi)": ((dh * std * point.xi * np.tanh(sample)).sum(axis=0), -2),
            "sum_b dH sigma xi tanh(u)": ((dh * std * point.xi * np.tanh(point.u)).sum(axis=0), 0),
            "sum_b dH xi tanh(mu + sigma xi)": ((dh * point.xi * np.tanh(sample)).sum(axis=0), 0),
            "sum_b dH tanh(mu + sigma xi)": ((dh * np.tanh(sample)).sum(axis=0), 0),
        },
    }


EXERCISES = [
    Exercise("log_slope", ("u",), ("log_slope",), _slope_points, laws=(_never_above_0,)),
    Exercise(
        "squashed_forward", ("means", "log_std", "u", "low", "high"), ("logprobs",), _forward_points,
        laws=(_integral_is_1,),
    ),
    Exercise(
        "squashed_entropy", ("means", "log_std", "xi", "low", "high"), ("entropies",), _entropy_points,
        laws=(_mean_is_the_entropy,),
    ),
    Exercise(
        "squashed_backward", ("dlogprobs", "dentropies", "means", "log_std", "u", "xi"), ("dmeans", "dlog_std"),
        _backward_points, _squashed_backward, rests_on=("squashed_forward", "squashed_entropy"),
        laws=(_as_lesson_14, _towards_the_middle), terms=_terms,
    ),
]  # fmt: skip
