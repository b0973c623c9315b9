"""The cost model of ranks: each of its terms, by numbers that can be worked out by hand."""

import pytest

from bench.contests.cost_model import beside, largest_of, scaled, sum_in, update_here

PIECES = {
    "cores": 2,
    "gradient_bytes": 150,
    "job": {"update_epochs": 3, "num_minibatches": 5},
    "alone": {
        "runs": {"1": {"rollout": 8.0, "deviation": 1.0, "minibatch": 0.4},
                 "2": {"rollout": 4.0, "deviation": 0.0, "minibatch": 0.2},
                 "4": {"rollout": 2.0, "deviation": 0.0, "minibatch": 0.1}},
    },
    "two_cores": {"median": 1.6},
    "together": {
        "2": {"deal": 0.01, "update": 0.02, "sums": {"100": 0.001, "150": 0.002}},
        "4": {"deal": 0.02, "update": 0.04, "sums": {"100": 0.002, "150": 0.004}},
    },
}  # fmt: skip
WORK = {
    "rollout": 10.0, "deviation": 0.0, "minibatch": 0.5, "fixed": 0.1, "rows": 100, "transitions": 1000,
    "minibatches": 4, "epochs": 2, "gradient_bytes": 1000, "deal_per_row": 0.0,
}  # fmt: skip
FAST, SLOW = {"alpha": 0.0, "bandwidth": 1e12}, {"alpha": 0.01, "bandwidth": 1e4}


def test_an_update_here_is_the_sum_of_its_pieces():
    assert [largest_of(ranks) for ranks in (1, 2, 4)] == pytest.approx([0, 0.564, 1.029], abs=0.03)
    assert update_here(PIECES, 1) == pytest.approx(8.0 + 15 * 0.4)
    assert beside(PIECES) == 2 / 1.6 and beside(PIECES | {"two_cores": {"median": 2.1}}) == 1
    assert update_here(PIECES, 2) == pytest.approx(1.25 * (4.0 + 15 * 0.2) + 15 * 0.002 + 0.01 + 0.02)
    assert update_here(PIECES, 4) == pytest.approx(2.5 * (2.0 + 15 * 0.1) + 15 * 0.004 + 0.02 + 0.04)


def test_sums_in_a_network():
    assert sum_in(SLOW, 1000, 8) == pytest.approx(2 * 3 * 0.01 + 2 * 7 / 8 * 0.1)
    perfect, found = scaled(WORK, FAST, 8), scaled(WORK, SLOW, 8)
    assert perfect["efficiency"] == pytest.approx(1, abs=1e-6) and perfect["enough_rows"] == 0
    each = (WORK["minibatch"] - WORK["fixed"]) / WORK["rows"]
    most, fewer = (WORK["fixed"] + rows * each for rows in (found["enough_rows"], found["enough_rows"] - 1))
    assert most >= found["sum"] > fewer
