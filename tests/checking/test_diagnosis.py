"""Mistakes are named from the numbers they give: each kind on a planted one, and nothing where there is no evidence."""

import numpy as np
import pytest

from ppo_np.checking.diagnosis import Term, changed, explained_by_terms, matching, same, where_wrong

RNG = np.random.default_rng(5)
ROWS = 5
RIGHT = [RNG.standard_normal((ROWS, 3)), RNG.standard_normal((4, 3))]
B = [ROWS, 4]
A, C, D = ([RNG.standard_normal(array.shape) for array in RIGHT] for _ in range(3))


def each(function, *arrays):
    return [function(*at_point) for at_point in zip(*arrays, strict=True)]


def test_the_same_numbers_up_to_rounding():
    assert same(RIGHT, each(lambda x: x * (1 + 1e-7), RIGHT))
    assert not same(RIGHT, each(lambda x: x * (1 + 1e-5), RIGHT))
    assert same([np.zeros(3)], [np.full(3, 1e-10)])
    assert not same([np.zeros(3)], [np.full(3, 1e-8)])
    assert same([], [])


@pytest.mark.parametrize(
    "other", [RIGHT[:1], each(np.transpose, RIGHT), each(lambda x: x[:, :1], RIGHT), each(lambda x: x * np.nan, RIGHT)]
)
def test_other_shapes_and_nan_are_not_the_same(other):
    assert not same(RIGHT, other)


def test_the_first_mistake_that_gives_the_numbers_is_named():
    candidates = {"harmless": RIGHT, "half": each(lambda x: x / 2, RIGHT), "minus": each(np.negative, RIGHT)}
    assert matching(candidates["minus"], RIGHT, candidates) == "minus"
    assert matching(A, RIGHT, candidates) is None
    assert matching(RIGHT, RIGHT, candidates) is None


TERMS = [Term("a", A), Term("c", C, -1), Term("d", D, 0)]
SUM = each(lambda a, c: a - c, A, C)


@pytest.mark.parametrize(
    ("a", "c", "d", "says"),
    [
        (0, -1, 0, "the term +a is missing"),
        (1, 0, 0, "the term -c is missing"),
        (-1, -1, 0, "the sign of the term +a is wrong"),
        (2, -1, 0, "the term a has the factor 2 instead of 1"),
        (1, -0.5, 0, "the term c has the factor -1/2 instead of -1"),
        (1, -1, 1, "the term +d must not be there"),
        (1, -1, -2, "the term -2 d must not be there"),
        (-1, 1, 0, "the sign of the term +a is wrong; the sign of the term -c is wrong"),
        (0, -1, -1, "the term +a is missing; the term -d must not be there"),
        (0.37, -1, 0, None),
        (1, -1, 7, None),
        (0, 0, 1, None),
    ],
)
def test_what_was_done_to_one_or_two_terms(a, c, d, says):
    wrong = each(lambda x, y, z: a * x + c * y + d * z, A, C, D)
    assert explained_by_terms(wrong, SUM, TERMS) == says


def test_terms_say_nothing_without_evidence():
    noise = each(lambda x: x + 1e-4 * RNG.standard_normal(x.shape), SUM)
    assert explained_by_terms(noise, SUM, TERMS) is None
    assert explained_by_terms(each(lambda x, a: x - a, noise, A), SUM, TERMS) is None
    # 3.5 a too much is no simple factor of one of two equal terms, and half of it in each of them is no explanation.
    twins = [Term("a", A), Term("twin", A)]
    assert explained_by_terms(each(lambda x: 3.5 * x, A), each(lambda x: 0 * x, A), twins) is None
    assert explained_by_terms(SUM, SUM, TERMS) is None
    assert explained_by_terms(A, SUM, []) is None
    assert explained_by_terms(each(lambda x: x * np.nan, A), SUM, TERMS) is None
    assert explained_by_terms(A, SUM, [Term("inf", each(lambda x: x * np.inf, A))]) is None
    assert explained_by_terms([x[:1] for x in A], SUM, TERMS) is None
    number = [np.ones(1)]
    assert explained_by_terms(number, [np.zeros(1)], [Term("a", number)]) is None  # one number fits any term


def test_terms_that_give_the_same_numbers_are_all_named():
    twins = [Term("a", A), Term("twin", A, 0)]
    missing = explained_by_terms(each(lambda x: 0 * x, A), A, twins)
    assert missing == "the term +a is missing or the term -twin must not be there"
    assert explained_by_terms(each(lambda x: 0 * x, A), A, [*twins, Term("b", A, 2), Term("c", A, 3)]) is None


CHANGES = {
    "it is 0 everywhere": lambda x: 0 * x,
    "the sign is wrong": lambda x: -x,
    "it is B times too large": lambda x: x * len(x),
    "it is B times too small": lambda x: x / len(x),
    "the sign is wrong, and it is B times too large": lambda x: -x * len(x),
    "the sign is wrong, and it is B times too small": lambda x: -x / len(x),
    "it is 2 times the right one": lambda x: 2 * x,
    "it is -1/2 times the right one": lambda x: -x / 2,
    "it was computed transposed and then reshaped": lambda x: x.T.reshape(x.shape),
    "the rows are in reverse order": lambda x: x[::-1],
    "the columns are in reverse order": lambda x: x[:, ::-1],
    "it is shifted by one place along the rows (down)": lambda x: np.roll(x, 1, 0),
    "it is shifted by one place along the columns (up)": lambda x: np.roll(x, -1, 1),
    "it is 1 over the right one": lambda x: 1 / x,
}


@pytest.mark.parametrize("says", CHANGES)
def test_a_simple_change_is_named(says):
    named = changed(each(CHANGES[says], RIGHT), RIGHT, B)
    assert named.startswith(says)
    others = [other for other in CHANGES if other != says and named.startswith(other)]
    assert all(says.startswith(other) for other in others)


def test_a_transposed_square():
    squares = [x[:3] for x in RIGHT]
    assert changed(each(np.transpose, squares), squares, [3, 3]) == "it is transposed"


def test_no_change_is_named_without_evidence():
    assert changed(A, RIGHT, B) is None
    assert changed(RIGHT, RIGHT, B) is None
    assert changed([np.ones(3)], [np.ones(3)], [3]) is None
    assert changed(each(lambda x: 1.7 * x, RIGHT), RIGHT, B) is None
    assert changed(A, each(lambda x: 0 * x, A), B) == "it must be 0 here"
    # With two rows, B times and 2 times are the same: no B is claimed.
    assert changed([2 * RIGHT[0][:2]], [RIGHT[0][:2]], [2]) == "it is 2 times the right one"


KINDS = [{"first": np.arange(rows) == 0, "second": np.arange(rows) == 1, "rest": np.arange(rows) > 1} for rows in B]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([[0], [0]], "first"),
        ([[], [1]], "second"),
        ([[0, 2], [3]], "first; rest"),
        ([[0, 1, 2], []], None),
        ([[], []], None),
    ],
)
def test_the_kinds_of_rows_that_are_wrong(rows, says):
    wrong = [x.copy() for x in RIGHT]
    for at_point, where in zip(wrong, rows, strict=True):
        at_point[where, 1] += 0.1
    assert where_wrong(wrong, RIGHT, KINDS) == (says and f"only rows of these kinds are wrong: {says}")


def test_rows_of_no_kind_or_of_another_shape_say_nothing():
    wrong = each(lambda x: x + 1, RIGHT)
    assert where_wrong(wrong, RIGHT, [{"first": kinds["first"]} for kinds in KINDS]) is None
    assert where_wrong(wrong, RIGHT, [{}, {}]) is None
    two_rows = [x + np.isin(np.arange(len(x)), [0, 2])[:, np.newaxis] for x in RIGHT]
    assert where_wrong(two_rows, RIGHT, [{"first": of["first"], "second": of["second"]} for of in KINDS]) is None
    assert where_wrong([x[:, :1] for x in wrong], RIGHT, KINDS) is None
    assert where_wrong([np.float64(1)], [np.float64(2)], KINDS[:1]) is None
