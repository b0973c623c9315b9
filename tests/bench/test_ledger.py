"""The ledger: how targets are judged, and that the committed pages are what their files make."""

import json
import math
import tomllib
from pathlib import Path

import pytest

from bench.contests import end_to_end
from bench.report import ledger, results_page, target_kinds
from bench.report.target_kinds import (
    ONE,
    OURS,
    RANKS,
    RLTOOLS,
    alone,
    either,
    judge,
    preset,
    solved,
    sooner,
    start,
    trained,
)  # fmt: skip
from bench.report.targets import ALONE, CLEANRL, TARGETS

DOCS = Path(__file__).parents[2] / "docs"


def quartiles(middle):
    return {"q1": middle - 0.1, "median": middle, "q3": middle + 0.1}


def rows(*others, row="a"):
    ours = {"contestant": OURS, "median": 1000, "min": 999, "max": 1001, "peak_memory_mb": 60.0}
    return {"end_to_end": {"rows": {row: {"title": "title", "results": [ours, *others]}}}}


def peer(ratio, name=CLEANRL):
    return {"contestant": name, "peak_memory_mb": 100.0, "ratio": quartiles(ratio)}


def race(name=OURS, **more):
    return {"contestant": name, "solved": 5, "seeds": 5, "median": 30, "min": 20, "max": 50} | more


def races(*results):
    return {"solve": {"results": results}}


def trained_on_pendulum(ratio, returns=(-150, -150), seeds=5):
    theirs = {"contestant": f"{RLTOOLS}, 1 thread", "seeds": 5, "mean_return": {"median": returns[1]}}
    ours = {"contestant": ONE, "seeds": seeds, "mean_return": {"median": returns[0]}, "ratio": quartiles(ratio)}
    return {"pendulum": {"results": [ours, theirs]}}


def solved_by_preset(**more):
    return {"presets": {"results": [race(preset="cartpole", solved=10, seeds=10) | more]}}


def started(too_early):
    result = {"what": "import", "median": 0.5, "min": 0.4, "max": 0.6, "too_early": too_early}
    return {"start": {"results": [result]}}


@pytest.mark.parametrize(
    ("target", "documents", "figure", "met"),
    [
        (target_kinds.faster("a", CLEANRL, 5), rows(peer(5.0)), 5, True),
        (target_kinds.faster("a", CLEANRL, 5), rows(peer(4.9)), 4.9, False),
        (target_kinds.smaller("a", CLEANRL, 0.6), rows(peer(1)), 0.6, True),
        (target_kinds.smaller("a", CLEANRL, 0.59), rows(peer(1)), 0.6, False),
        (target_kinds.absolute("a", 1001), rows(), 1000, False),
        (target_kinds.ratio_at("x-2", "", 1.8, "ranks", "2"), {"ranks": {"2": quartiles(1.8)}}, 1.8, True),
        (start("import", "", 0.8), started([]), 0.5, True),
        (start("import", "", 0.8), started(["pygame"]), 0.5, False),
        (solved(OURS, "sync", 40), races(race()), 30, True),
        (solved(OURS, "sync", 40), races(race(solved=4, max=None)), 30, False),
        (sooner(RANKS, OURS, 0.6), races(race(), race(RANKS, median=18)), 0.6, True),
        (sooner(RANKS, OURS, 0.6), races(race(), race(RANKS, median=19)), 19 / 30, False),
        (trained(ONE, "one", 1.0), trained_on_pendulum(1.0), 1, True),
        (trained(ONE, "one", 1.0), trained_on_pendulum(1.1), 1.1, False),
        (trained(ONE, "one", 1.0), trained_on_pendulum(0.5, (-151, -150)), 0.5, False),
        (preset("cartpole", 10, 30), solved_by_preset(), 30, True),
        (preset("cartpole", 10, 30), solved_by_preset(solved=9, max=None), 30, False),
        (preset("cartpole", 10, 50, worst=True), solved_by_preset(), 50, True),
        (preset("cartpole", 10, 49, worst=True), solved_by_preset(), 50, False),
        (preset("cartpole", 10, 49, worst=True), solved_by_preset(solved=9, max=None), math.inf, False),
        (alone("x", 9), {"compiled": {"results": [{"env_id": "x", "kernel": quartiles(9)}]}}, 9, True),
    ],
)
def test_targets_are_judged(target, documents, figure, met):
    found = judge(target, documents)
    assert found["figure"] == figure and found["met"] is met
    assert found["low"] <= figure <= found["high"]


def test_what_was_not_measured_is_unknown():
    left_out = {"contestant": CLEANRL, "skipped": "no torch"}
    assert judge(target_kinds.faster("a", CLEANRL, 5), rows(left_out)) == {"why": "no torch"}
    assert judge(sooner(RANKS, OURS, 0.6), races(race(solved=4), race(RANKS))) == {"why": "a seed did not solve it"}
    few = {"why": "measured with 4 of 5 seeds"}
    assert judge(trained(ONE, "one", 1.0), trained_on_pendulum(0.1, seeds=4)) == few
    assert judge(preset("cartpole", 20, 99), solved_by_preset()) == {"why": "measured with 10 of 20 seeds"}
    for target in TARGETS:
        assert judge(target, {}) == {"why": "not measured"}


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ({"d": 2.6}, {"figure": 2.6, "met": True, "row": "d"}),  # the other way could only be better
        ({"d": 2.4}, {"why": "row m: not measured"}),
        ({"m": 2.4}, {"why": "row d: not measured"}),
        ({"d": 2.6, "m": 3.0}, {"figure": 3.0, "met": True, "row": "m"}),
        ({"d": 2.4, "m": 2.0}, {"figure": 2.4, "met": False, "row": "d"}),
    ],
)
def test_of_two_ways_the_better_one_counts_and_is_missed_only_if_both_were_measured(ratios, expected):
    measured = [rows(peer(ratio), row=row)["end_to_end"]["rows"] for row, ratio in ratios.items()]
    documents = {"end_to_end": {"rows": {row: found for one in measured for row, found in one.items()}}}
    found = judge(either("", *(target_kinds.faster(row, CLEANRL, 2.5) for row in "dm")), documents)
    assert expected.items() <= found.items()


def test_every_target_has_a_name_of_its_own_and_a_row_that_measures_it():
    assert len({target.key for target in TARGETS}) == len(TARGETS)
    others = {"small", "article", "k", "start", "solve", "ranks", "presets", "compiled"}
    assert {target.row for target in TARGETS} <= {*end_to_end.ROWS, *others}
    assert set(tomllib.loads(ledger.REASONS.read_text())) <= {target.key for target in TARGETS}


@pytest.mark.parametrize(
    ("row", "share"),
    [("a", 0.9 * 55 / 50), ("f", 0.9 * 27.5 / 50), ("c", 55 / 60), ("m", 55 / 60), ("n", None), ("b", None)],
)
def test_the_limit_is_compared_by_way_of_the_bare_environments(row, share):
    found = {"limit": {"median": 55.0}, "on_ranks": 27.5, "share": {"median": 55 / 60}}
    found["microseconds"] = {ledger.ENVIRONMENT: {"median": 50.0}}
    documents = rows(peer(0.9, ALONE), row=row) | {"limit": {"limits": dict.fromkeys("acm", found)}}
    assert ledger.share_reached(row, documents) == (share and pytest.approx(share))


@pytest.mark.parametrize("row", ["a", "c"])
def test_rows_and_limits_of_two_machines_are_not_compared(row):
    found = {"limit": {"median": 55.0}, "share": {"median": 0.9}, "machine": "A"}
    found["microseconds"] = {ledger.ENVIRONMENT: {"median": 50.0}}
    documents = rows(peer(0.9, ALONE), row=row) | {"limit": {"limits": {row: found}}}
    documents["end_to_end"]["rows"][row]["machine"] = "A"
    assert ledger.share_reached(row, documents)
    documents["end_to_end"]["rows"][row]["machine"] = "B"
    assert ledger.share_reached(row, documents) is None


def test_a_page_names_the_machine_of_each_row():
    about = {"benchmark": "end_to_end", "versions": {}, "commit": "c", "dirty": False, "date": "", "arguments": []}
    document = rows()["end_to_end"] | about | {"cpu": "B", "cores": 2}
    row = document["rows"]["a"] | {"results": [{"contestant": CLEANRL, "skipped": "no torch"}]}
    assert ledger.provenance(document)[2] == "B, 2 cores"
    assert ledger.row_table("a", row)[0] == "**a** title"
    document["rows"]["a"]["machine"] = row["machine"] = "A, 4 cores"
    assert ledger.provenance(document)[2] == "A, 4 cores"
    assert ledger.row_table("a", row)[0] == "**a** title (A, 4 cores)"


def test_the_committed_pages_are_what_their_files_make():
    documents = ledger.read(sorted((DOCS / "performance").glob("*.json")))
    assert set(documents) <= set(ledger.BENCHMARKS)
    assert ledger.page(documents, tomllib.loads(ledger.REASONS.read_text())) == (DOCS / "performance.md").read_text()
    presets = [json.loads(path.read_text()) for path in sorted((DOCS / "results").glob("*.json"))]
    assert results_page.page(presets) == (DOCS / "results.md").read_text()
