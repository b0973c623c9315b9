"""The numbers that are worked by hand on the pages of lessons 6 to 10."""

from itertools import takewhile

import numpy as np
import pytest

from ppo_np.course.lesson import lesson_of
from ppo_np.course.page import page_of


def text_of(lesson):
    return page_of(lesson).read_text(encoding="utf-8")


def worked_by_hand(number, function):
    """The point of an exercise whose results are on the page."""
    exercise = next(one for one in lesson_of(str(number)).exercises if one.function == function)
    (point,) = (point for point in exercise.points(np.random.default_rng(0)) if point.label == "worked by hand")
    return point


def column(number, header):
    """The numbers below a header in a table of "By hand": of a calculation, what stands behind the last =."""
    by_hand = text_of(lesson_of(str(number))).partition("\n## By hand\n")[2].partition("\n## ")[0].splitlines()
    (start,) = (i for i, line in enumerate(by_hand) if f"| {header} |" in line)
    place = [cell.strip() for cell in by_hand[start].split("|")].index(header)
    rows = takewhile(lambda line: line.startswith("|"), by_hand[start + 2 :])
    return np.array([float(row.split("|")[place].split("=")[-1]) for row in rows])


@pytest.mark.parametrize(
    ("number", "function", "header", "values"),
    [
        (6, "categorical_forward", r"$\log p$", lambda right: right[0]),
        (6, "categorical_backward", r"$\mathrm{d}\ell$", lambda right: right),
        (7, "categorical_sample", "action", lambda right: right[0]),
        (7, "categorical_sample", "log p", lambda right: right[1]),
        (8, "policy_gradient", r"$\mathrm{d}\ell_0$", lambda right: right[:, 0]),
        (8, "policy_gradient", r"$\mathrm{d}\ell_1$", lambda right: right[:, 1]),
        (9, "gae", "$A_t$", lambda right: right[0][::-1].T),
        (9, "gae", "$R_t$", lambda right: right[1][::-1].T),
        (10, "ratio", r"$\rho$", lambda right: right),
    ],
)
def test_numbers_worked_by_hand_are_those_of_the_exercise(number, function, header, values):
    expected = np.ravel(values(worked_by_hand(number, function).expected))
    np.testing.assert_allclose(column(number, header), expected, rtol=0, atol=5.1e-5)


def test_the_entropies_of_lesson_6_and_the_mean_of_lesson_10():
    entropies = worked_by_hand(6, "categorical_forward").expected[2]
    np.testing.assert_allclose(column(6, r"$-p \log p$").reshape(2, 2).sum(axis=1), entropies, rtol=0, atol=1e-4)
    assert f"$H = ({entropies[0]:.4f}, {entropies[1]:.4f})$" in text_of(lesson_of("6"))
    assert column(10, r"$\rho - 1 - \log\rho$").mean() == worked_by_hand(10, "approx_kl").expected


def test_the_enumeration_of_lesson_8():
    p, returns = np.array([0.25, 0.75]), np.array([5.0, 1.0])
    for header, baseline in (("$c = 0$", 0.0), ("$c = 2$", 2.0)):
        *estimates, mean = column(8, header)
        np.testing.assert_array_equal(estimates, (returns - baseline) * ([1, 0] - p[0]))
        assert mean == p @ estimates == p[0] * (returns[0] - p @ returns)
