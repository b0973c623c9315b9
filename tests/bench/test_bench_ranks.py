"""The cost model of ranks: each of its terms, by numbers that can be worked out by hand."""

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "bench"))
import solve
from cost_model import Network, Work, beside, largest_of, scaled, sum_here, sum_in, update_here
from end_to_end import ARTICLE
from ledger_ranks import ranks_section
from ranks import gradient_bytes

from ppo_np import PPOConfig
from ppo_np.distributions import discrete
from ppo_np.model import ActorCritic

sys.path.append(str(Path(__file__).parent.parent / "bench" / "peers"))
from protocol import Job

PIECES = {
    "cores": 2,
    "gradient_bytes": 150,
    "job": {"update_epochs": 3, "num_minibatches": 5},
    "alone": {
        "runs": {"1": {"rollout": 8.0, "deviation": 1.0, "minibatch": 0.4},
                 "2": {"rollout": 4.0, "deviation": 0.0, "minibatch": 0.2},
                 "4": {"rollout": 2.0, "deviation": 0.0, "minibatch": 0.1}},
    },
    "two_cores": {"median": 1.6, "q1": 1.5, "q3": 1.7},
    "together": {
        "2": {"deal": 0.01, "update": 0.02, "sums": {"100": 0.001, "200": 0.003}, "allreduces": {"100": 0.1}},
        "4": {"deal": 0.02, "update": 0.04, "sums": {"100": 0.002, "200": 0.006}, "allreduces": {"100": 0.2}},
    },
}  # fmt: skip
WORK = Work("work", 10.0, 0.0, 0.5, 0.1, 100, 1000, 4, 2, 1000, 0.0)
FAST, SLOW = Network("fast", 0.0, 1e12), Network("slow", 0.01, 1e4)


def test_the_largest_of_normal_numbers():
    assert largest_of(1) == 0
    assert largest_of(2) == pytest.approx(0.564, abs=0.03)
    assert largest_of(4) == pytest.approx(1.029, abs=0.03)


def test_a_sum_between_measured_sizes():
    assert [sum_here(PIECES, size, 2) for size in (10, 100, 150, 200, 400)] == pytest.approx(
        [0.001, 0.001, 0.002, 0.003, 0.006]
    )


def test_an_update_here_is_the_sum_of_its_pieces():
    assert update_here(PIECES, 1) == pytest.approx(8.0 + 15 * 0.4)
    assert beside(PIECES) == 2 / 1.6 and beside(PIECES | {"two_cores": {"median": 2.1}}) == 1
    assert update_here(PIECES, 2) == pytest.approx(1.25 * (4.0 + 15 * 0.2) + 15 * 0.002 + 0.01 + 0.02)
    assert update_here(PIECES, 4) == pytest.approx(2.5 * (2.0 + 15 * 0.1) + 15 * 0.004 + 0.02 + 0.04)


def test_a_sum_in_a_network():
    assert sum_in(SLOW, 1000, 8) == pytest.approx(2 * 3 * 0.01 + 2 * 7 / 8 * 0.1)


def test_without_a_network_ranks_are_shared_perfectly():
    found = scaled(WORK, FAST, 8)
    assert found["efficiency"] == pytest.approx(1, abs=1e-6) and found["enough_rows"] == 0


def test_rows_enough_are_those_with_which_the_sum_takes_no_longer_than_learning():
    found = scaled(WORK, SLOW, 8)
    each = (WORK.minibatch - WORK.fixed) / WORK.rows
    assert WORK.fixed + found["enough_rows"] * each >= found["sum"] > WORK.fixed + (found["enough_rows"] - 1) * each
    assert found["efficiency"] < 1


@pytest.mark.parametrize("job", [Job(), Job(**ARTICLE)])
def test_the_bytes_of_a_gradient(job):
    config = PPOConfig(**{name: getattr(job, name) for name in ("shared_sizes", "policy_sizes", "value_sizes")})
    assert gradient_bytes(job) == ActorCritic(8, discrete(4), config, None).grads_and_terms.nbytes


def test_runs_of_others_are_kept(tmp_path):
    runs = [{"name": name, "seed": seed} for name in ("ppo_np", "Stable-Baselines3") for seed in (1, 2)]
    runs[3] |= {"commit": "earlier", "jobs": 2}
    (tmp_path / "solve.json").write_text(json.dumps({"commit": "before", "runs": runs}))
    found = solve.runs_of_others(tmp_path / "solve.json", ["ppo_np", "ranks"], [2])
    assert found == [{"commit": "before", "jobs": 1} | run for run in (runs[0], *runs[2:])]
    assert found[-1]["commit"] == "earlier"


def test_the_section_of_the_ledger():
    row = {"median": 1000.0, "q1": 900.0, "q3": 1100.0, "foreseen": 1100.0, "off": 0.1}
    row["ratio"] = {"median": 1.85, "q1": 1.8, "q3": 1.9}
    document = PIECES | {
        "job": PIECES["job"] | {"num_envs": 16, "num_steps": 128},
        "here": {"1": row, "2": row, "4": row},
        "pace": 1.05,
        "tcp": {"alpha": 2e-5, "bandwidth": 1e9, "rows": [{"bytes": 8, "foreseen": 2e-5, "measured": 3e-5}]},
        "networks": [{"name": "slow", "alpha": 1e-5, "bandwidth": 1e9}],
        "works": [{"name": "work", "rows": 100, "minibatch": 5e-4}],
        "outlook": [{"work": "work", "network": "slow", "ranks": 8, **scaled(WORK, SLOW, 8)}],
    }
    text = "\n".join(ranks_section(document))
    assert "| 2 | 1,000 | 900 to 1,100 | 1.85 (1.8 to 1.9) | 1,100 | +10% |" in text.replace(" ---: ", "")
    assert "| a rollout | 8,000,000 | 4,000,000 | 2,000,000 |" in text
    assert "| a sum of 100 bytes, by messages |  | 100,000 | 200,000 |" in text
    assert "slow with alpha 10 us and 1 GB/s" in text
    assert text.count("| work | slow | 8 |") == 1
