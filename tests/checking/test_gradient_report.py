"""What the ratio of a wrong gradient to the numeric one is taken for."""

import numpy as np
import pytest

from ppo_np.checking.gradient_report import ratio_hint


@pytest.mark.parametrize(
    ("factor", "hint"),
    [
        (-1, "ratio -1: the sign is wrong"),
        (36, "ratio 36 = B: a sum instead of a mean"),
        (1 / 36, "ratio 1/36 = 1/B: a mean instead of a sum"),
        (2, "ratio 2: a square without its factor 1/2"),
        (0.5, "ratio 1/2: a factor 1/2 too many"),
        (0, "ratio 0: a term is missing"),
        (0.37, "ratio 0.37"),
        (np.nan, "not a finite number"),
        (np.array([1, 1, 3]), "only 1 of 3 differs: 0.3 instead of 0.1"),
        (np.array([1, 0, 1]), "only 1 of 3 differs: 0 instead of -0.2"),
        (np.array([1, 0, 3]), "no common factor; 2 of 3 differ"),
    ],
)
def test_what_the_ratio_speaks_for(factor, hint):
    numeric = np.array([0.3, -0.2, 0.1])
    noise = 1e-10 * np.array([1, -1, 1])
    assert ratio_hint(factor * numeric, numeric + noise, 1e-9, 36) == hint


def test_what_a_slope_speaks_for_where_the_loss_is_flat():
    ones, zeros = np.ones(2), np.zeros(2)
    assert ratio_hint(ones, zeros, 1e-9, 36) == "must be zero: the loss is flat here"
    assert ratio_hint(ones, np.array([1.0, 0.0]), 1e-9, 36) == "only 1 of 2 differs: 1 instead of 0"
    assert ratio_hint(np.ones(3), np.array([1.0, 0, 0]), 1e-9, 36) == "not 0 where it must be; 2 of 3 differ"


@pytest.mark.parametrize("factor", [-1, 36, 1 / 36, 2, 0.5, 0])
def test_a_single_number_has_no_ratio(factor):
    hint = ratio_hint(np.array([factor * 0.36]), np.array([0.36]), 1e-9, 36)
    assert hint == f"{factor * 0.36:.5g} instead of 0.36"
