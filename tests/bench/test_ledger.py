"""The ledger: how targets are judged, and that the committed pages are what their files make."""

import json
import tomllib
from pathlib import Path

import pytest

from bench.contests import end_to_end
from bench.report import ledger, results_page, targets
from bench.report.targets import ALONE, CLEANRL, OURS, RANKS, TARGETS, judge, solved, sooner, start

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


def started(too_early):
    result = {"what": "import", "median": 0.5, "min": 0.4, "max": 0.6, "too_early": too_early}
    return {"start": {"results": [result]}}


@pytest.mark.parametrize(
    ("target", "documents", "figure", "met"),
    [
        (targets.faster("a", CLEANRL, 5), rows(peer(5.0)), 5, True),
        (targets.faster("a", CLEANRL, 5), rows(peer(4.9)), 4.9, False),
        (targets.smaller("a", CLEANRL, 0.6), rows(peer(1)), 0.6, True),
        (targets.smaller("a", CLEANRL, 0.59), rows(peer(1)), 0.6, False),
        (targets.absolute("a", 1001), rows(), 1000, False),
        (targets.ratio_at("x-2", "", 1.8, "ranks", "2"), {"ranks": {"2": quartiles(1.8)}}, 1.8, True),
        (start("import", "", 0.8), started([]), 0.5, True),
        (start("import", "", 0.8), started(["pygame"]), 0.5, False),
        (solved(OURS, "sync", 40), races(race()), 30, True),
        (solved(OURS, "sync", 40), races(race(solved=4, max=None)), 30, False),
        (sooner(RANKS, OURS, 0.6), races(race(), race(RANKS, median=18)), 0.6, True),
        (sooner(RANKS, OURS, 0.6), races(race(), race(RANKS, median=19)), 19 / 30, False),
    ],
)
def test_targets_are_judged(target, documents, figure, met):
    found = judge(target, documents)
    assert found["figure"] == figure and found["met"] is met
    assert found["low"] <= figure <= found["high"]


def test_what_was_not_measured_is_unknown():
    left_out = {"contestant": CLEANRL, "skipped": "no torch"}
    assert judge(targets.faster("a", CLEANRL, 5), rows(left_out)) == {"why": "no torch"}
    assert judge(sooner(RANKS, OURS, 0.6), races(race(solved=4), race(RANKS))) == {"why": "a seed did not solve it"}
    for target in TARGETS:
        assert judge(target, {}) == {"why": "not measured"}


def test_every_target_has_a_name_of_its_own_and_a_row_that_measures_it():
    assert len({target.key for target in TARGETS}) == len(TARGETS)
    assert {target.row for target in TARGETS} <= {*end_to_end.ROWS, "small", "article", "start", "solve", "ranks"}
    assert set(tomllib.loads(ledger.REASONS.read_text())) <= {target.key for target in TARGETS}


@pytest.mark.parametrize(("row", "share"), [("a", 0.9 * 55 / 50), ("f", 0.9 * 27.5 / 50), ("c", 55 / 60), ("b", None)])
def test_the_limit_is_compared_by_way_of_the_bare_environments(row, share):
    found = {"limit": {"median": 55.0}, "on_ranks": 27.5, "share": {"median": 55 / 60}}
    found["microseconds"] = {ledger.ENVIRONMENT: {"median": 50.0}}
    documents = rows(peer(0.9, ALONE), row=row) | {"limit": {"limits": dict.fromkeys("ac", found)}}
    assert ledger.share_reached(row, documents) == (share and pytest.approx(share))


def test_the_committed_pages_are_what_their_files_make():
    documents = ledger.read(sorted((DOCS / "performance").glob("*.json")))
    assert set(documents) == set(ledger.BENCHMARKS)
    assert ledger.page(documents, tomllib.loads(ledger.REASONS.read_text())) == (DOCS / "performance.md").read_text()
    presets = [json.loads(path.read_text()) for path in sorted((DOCS / "results").glob("*.json"))]
    assert results_page.page(presets) == (DOCS / "results.md").read_text()
