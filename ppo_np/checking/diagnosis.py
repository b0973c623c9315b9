"""Name the mistake behind a wrong array, from the array itself: what would each known mistake have given?

Three ways, the most certain first. A candidate (a function with one known mistake) gives the same numbers. The residual
(wrong minus right) is a multiple of one or two named terms of the formula. The wrong array is the right one after a
simple change: another sign, a factor, transposed, shifted.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np

Arrays = Sequence[np.ndarray]  # one array for each point at which the function was called

SAME = 1e-6  # relative tolerance for "the same numbers": right values may come from differences
FLOOR = 1e-9  # absolute tolerance, in addition
ALTERNATIVES = 3  # explanations that give the same numbers: all are named
FACTORS = (-1, 2, -2, 3, Fraction(1, 2), Fraction(-1, 2))  # besides the number of rows and its reciprocal


@dataclass(frozen=True)
class Term:
    """A term of the formula of a derivative, or one that a known mistake adds.

    Attributes:
        name: the term in the letters of the formula, such as "dlogprobs p".
        values: its numbers at each point, without the coefficient.
        coefficient: its coefficient in the right formula; 0 for a term that must not be there.
    """

    name: str
    values: Arrays
    coefficient: float = 1.0


def same(a: Arrays, b: Arrays) -> bool:
    """Whether all arrays have the same shapes and the same numbers, up to `SAME` and `FLOOR`."""
    if len(a) != len(b) or any(np.shape(x) != np.shape(y) for x, y in zip(a, b, strict=True)):
        return False
    x, y = _flat(a), _flat(b)
    error = np.linalg.norm(x - y)
    return bool(error <= SAME * (np.linalg.norm(x) + np.linalg.norm(y)) + FLOOR * np.sqrt(x.size))


def _flat(arrays: Arrays) -> np.ndarray:
    return np.concatenate([np.asarray(array, float).reshape(-1) for array in arrays]) if arrays else np.zeros(0)


def matching(wrong: Arrays, right: Arrays, candidates: Mapping[str, Arrays]) -> str | None:
    """The name of the first candidate that gives the numbers of `wrong` and not those of `right`; None if none does."""
    found = (name for name, values in candidates.items() if same(wrong, values) and not same(right, values))
    return next(found, None)


def explained_by_terms(wrong: Arrays, right: Arrays, terms: Sequence[Term]) -> str | None:
    """What was done to one or two named terms, by a least-squares fit of wrong - right; None if that fails.

    The fit must leave nothing over, and its coefficients must be simple fractions: then a coincidence is unlikely.
    One term explains it before two do. Up to `ALTERNATIVES` explanations are joined by "or", more say nothing.
    """
    if not terms or any(np.shape(x) != np.shape(y) for x, y in zip(wrong, right, strict=True)):
        return None
    residual = _flat(wrong) - _flat(right)
    if not all(np.isfinite(numbers).all() for numbers in (residual, *(_flat(term.values) for term in terms))):
        return None
    for count in (1, 2):
        found = []
        for chosen in combinations(terms, count):
            columns = np.stack([_flat(term.values) for term in chosen], axis=1)
            if columns.shape[0] != residual.size or columns.shape[0] <= count:
                continue
            fitted, _, rank, _ = np.linalg.lstsq(columns, residual, rcond=None)
            left_over = np.linalg.norm(residual - columns @ fitted)
            if rank == count and left_over <= 10 * SAME * np.linalg.norm(residual) + FLOOR:
                sentences = [_of_term(term, value) for term, value in zip(chosen, fitted, strict=True)]
                if None not in sentences:
                    found.append("; ".join(map(str, sentences)))
        if found:
            return " or ".join(found) if len(found) <= ALTERNATIVES else None
    return None


def _of_term(term: Term, change: float) -> str | None:
    """What a change of a term's coefficient means, in words; None if the new coefficient is not a simple number."""
    if abs(change) < 100 * SAME:
        return None
    new = term.coefficient + change
    simple = Fraction(new).limit_denominator(4)
    if abs(new - simple) > 100 * SAME * max(1.0, abs(new)) or abs(simple) > 4:
        return None
    if term.coefficient == 0:
        return f"the term {_signed(simple)}{term.name} must not be there"
    if simple == 0:
        return f"the term {_signed(Fraction(term.coefficient))}{term.name} is missing"
    if simple == -Fraction(term.coefficient):
        return f"the sign of the term {_signed(Fraction(term.coefficient))}{term.name} is wrong"
    return f"the term {term.name} has the factor {simple} instead of {Fraction(term.coefficient)}"


def _signed(coefficient: Fraction) -> str:
    return {1: "+", -1: "-"}.get(coefficient, f"{coefficient} ")  # type: ignore[call-overload]


def changed(wrong: Arrays, right: Arrays, rows: Sequence[int]) -> str | None:
    """The simple change that makes `wrong` from `right`, in words; None if there is none.

    Args:
        wrong, right: the arrays at each point.
        rows: B at each point: the factor of a missing or doubled mean.
    """
    if not any(np.any(array) for array in right):
        return "it must be 0 here"
    for says, change in _changes(rows):
        made = [change(point, array) for point, array in enumerate(map(np.asarray, right))]
        if same(wrong, made) and not same(right, made):
            return says
    return None


Change = Callable[[int, np.ndarray], np.ndarray]


def _changes(rows: Sequence[int]) -> Iterator[tuple[str, Change]]:
    """Simple changes of an array, each with what it means."""
    yield "it is 0 everywhere: nothing was computed, or everything was cut off", lambda _, x: np.zeros_like(x)
    yield "the sign is wrong", lambda _, x: -x
    if len(set(rows)) > 1 or max(rows, default=0) not in (1, 2, 3):
        yield "it is B times too large, B the number of rows: a sum instead of a mean", lambda i, x: x * rows[i]
        yield "it is B times too small, B the number of rows: a mean instead of a sum", lambda i, x: x / rows[i]
        yield "the sign is wrong, and it is B times too large", lambda i, x: -x * rows[i]
        yield "the sign is wrong, and it is B times too small", lambda i, x: -x / rows[i]
    for factor in FACTORS[1:]:
        yield f"it is {factor} times the right one", _times(float(factor))
    yield "it is transposed", lambda _, x: x.T
    yield "it was computed transposed and then reshaped, which mixes the places", _reshaped
    for axis in (0, 1):
        name = ("rows", "columns")[axis]
        yield f"the {name} are in reverse order", _flipped(axis)
        for step in (1, -1):
            way = "down" if step == 1 else "up"
            says = f"it is shifted by one place along the {name} ({way})"
            yield says, _rolled(axis, step)
    yield "it is 1 over the right one", lambda _, x: 1 / np.where(x == 0, np.nan, x)


def _times(factor: float) -> Change:
    return lambda _, x: x * factor


def _flipped(axis: int) -> Change:
    return lambda _, x: np.flip(x, axis) if axis < x.ndim else x


def _rolled(axis: int, step: int) -> Change:
    return lambda _, x: np.roll(x, step, axis) if axis < x.ndim else x


def _reshaped(_: int, x: np.ndarray) -> np.ndarray:
    return x.T.reshape(x.shape)


def where_wrong(wrong: Arrays, right: Arrays, groups: Sequence[Mapping[str, np.ndarray]]) -> str | None:
    """The group of rows in which all wrong rows lie, if it is wrong there and nowhere else; None if there is none.

    Args:
        wrong, right: the arrays at each point; the first axis counts the rows.
        groups: at each point, name -> (B,) booleans, such as the six regions of the surrogate.
    """
    names = list(dict.fromkeys(name for group in groups for name in group))
    wrong_rows = [_wrong_rows(x, y) for x, y in zip(wrong, right, strict=True)]
    if not names or any(rows is None for rows in wrong_rows):
        return None
    hit = [name for name in names if _overlap(name, wrong_rows, groups)]
    covered = [
        np.any([group[name] for name in hit if name in group], axis=0) if any(name in group for name in hit) else None
        for group in groups
    ]
    explained = all(
        not rows.any() or (cover is not None and not (rows & ~cover).any())  # type: ignore[union-attr]
        for rows, cover in zip(wrong_rows, covered, strict=True)
    )
    if hit and explained and len(hit) < len(names):
        return "only rows of these kinds are wrong: " + "; ".join(hit)
    return None


def _wrong_rows(x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """(B,) booleans: the rows that differ; None if the shapes do."""
    if np.shape(x) != np.shape(y) or np.ndim(y) == 0:
        return None
    different = np.abs(x - y) > SAME * (np.abs(x) + np.abs(y)) + FLOOR
    return different.reshape(len(different), -1).any(axis=1)


def _overlap(name: str, wrong_rows: Sequence[np.ndarray | None], groups: Sequence[Mapping[str, np.ndarray]]) -> bool:
    pairs = zip(wrong_rows, groups, strict=True)
    return any(name in group and rows is not None and bool((rows & group[name]).any()) for rows, group in pairs)
