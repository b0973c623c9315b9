"""The ledger: how targets are judged, what the page holds, and that the committed page is what its files make."""

import json
import sys
import tomllib
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "bench"))
import end_to_end
import ledger
import targets
from targets import (
    ALONE,
    CLEANRL,
    OURS,
    RANKS,
    TARGETS,
    absolute,
    faster,
    judge,
    on_two_ranks,
    share_of_limit,
    smaller,
    solved,
    sooner,
    start,
)  # fmt: skip

DOCS = Path(__file__).parent.parent / "docs"


def contestant(name, median, ratio=None, memory=100.0):
    result = {"contestant": name, "threads": 1, "median": median, "min": median - 1, "max": median + 1}
    result |= {"peak_memory_mb": memory}
    return result | ({"ratio": {"q1": ratio - 0.1, "median": ratio, "q3": ratio + 0.1}} if ratio else {})


def rows(*results, row="a"):
    return {"end_to_end": {"benchmark": "end_to_end", "rows": {row: {"title": "title", "results": list(results)}}}}


OUR_ROW = contestant(OURS, 1000, memory=60.0)


@pytest.mark.parametrize(
    ("target", "documents", "figure", "met"),
    [
        (faster("a", CLEANRL, 5), rows(OUR_ROW, contestant(CLEANRL, 200, 5.0)), 5, True),
        (faster("a", CLEANRL, 5), rows(OUR_ROW, contestant(CLEANRL, 200, 4.9)), 4.9, False),
        (smaller("a", CLEANRL, 0.6), rows(OUR_ROW, contestant(CLEANRL, 1)), 0.6, True),
        (smaller("a", CLEANRL, 0.59), rows(OUR_ROW, contestant(CLEANRL, 1)), 0.6, False),
        (absolute("a", 1000), rows(OUR_ROW), 1000, True),
        (on_two_ranks(1.8), {"ranks": {"here": {"2": {"ratio": {"q1": 1.7, "median": 1.8, "q3": 2}}}}}, 1.8, True),
        (on_two_ranks(1.8), {"ranks": {"here": {"2": {"ratio": {"q1": 1.7, "median": 1.79, "q3": 2}}}}}, 1.79, False),
        (absolute("a", 1001), rows(OUR_ROW), 1000, False),
        (
            share_of_limit(0.85),
            {"limit": {"limits": {"c": {"share": {"q1": 0.8, "median": 0.9, "q3": 1.0}}}}},
            0.9,
            True,
        ),
    ],
)
def test_targets_are_judged(target, documents, figure, met):
    found = judge(target, documents)
    assert found["figure"] == figure and found["met"] is met
    assert found["low"] <= figure <= found["high"]


def test_a_start_that_imports_too_much_misses_its_target():
    one = {"what": "import", "median": 0.5, "min": 0.4, "max": 0.6, "too_early": []}
    documents = {"start": {"results": [one]}}
    assert judge(start("import", "", 0.8), documents)["met"] is True
    one["too_early"] = ["pygame"]
    assert judge(start("import", "", 0.8), documents)["met"] is False


def test_a_race_that_one_seed_has_not_finished_misses_its_target():
    race = {"contestant": OURS, "solved": 2, "seeds": 2, "median": 30, "min": 20, "max": 35}
    documents = {"solve": {"results": [race]}}
    assert judge(solved(OURS, "sync", 40), documents)["met"] is True
    race |= {"solved": 1, "max": None}
    found = judge(solved(OURS, "sync", 40), documents)
    assert found["met"] is False and found["high"] == float("inf")


def test_a_race_on_ranks_is_compared_with_that_on_one():
    one = {"contestant": OURS, "solved": 5, "seeds": 5, "median": 30, "min": 20, "max": 50}
    ranks = one | {"contestant": RANKS, "median": 18, "min": 10, "max": 40}
    target, documents = sooner(RANKS, OURS, 0.6), {"solve": {"results": [one, ranks]}}
    assert judge(target, documents) == {"figure": 0.6, "low": 0.2, "high": 2.0, "met": True}
    ranks["median"] = 19
    assert judge(target, documents)["met"] is False
    ranks["solved"] = 4
    assert judge(target, documents) == {"why": "a seed did not solve it"}


def test_what_was_not_measured_is_unknown():
    target = faster("a", CLEANRL, 5)
    assert judge(target, {}) == {"why": "not measured"}
    absent = {"contestant": CLEANRL, "skipped": "torch is not installed"}
    assert judge(target, rows(OUR_ROW, absent)) == {"why": "torch is not installed"}
    assert judge(target, rows(OUR_ROW, contestant(CLEANRL, 1))) == {"why": "no slice lies between two of ours"}
    for target in TARGETS:
        assert judge(target, {}) == {"why": "not measured"}


def test_every_target_has_a_name_of_its_own_and_a_row_that_measures_it():
    assert len({target.key for target in TARGETS}) == len(TARGETS)
    known = {*end_to_end.ROWS, "small", "article", "start", "solve", "ranks"}
    assert {target.row for target in TARGETS} <= known


def test_the_page_holds_targets_reasons_tables_and_provenance():
    documents = rows(OUR_ROW, contestant(CLEANRL, 200, 4.9), contestant(ALONE, 1100, 0.91))
    common = {
        "quick": False,
        "date": "2026-01-02",
        "cpu": "CPU",
        "cores": 2,
        "commit": "0123456789abc",
        "dirty": True,
        "arguments": [],
    }
    documents["end_to_end"] |= common | {"versions": {"numpy": "2.0"}}
    race = {"contestant": OURS, "solved": 1, "seeds": 2, "median": 60, "min": 60, "max": None, "jobs": 2}
    race |= {"steps": 1e5, "step_us": 50.0}
    documents["solve"] = {"benchmark": "solve", "results": [race]} | common | {"quick": True, "arguments": ["--quick"]}
    documents["where"] = {
        "benchmark": "where",
        "rows_by_part": {"a": {"threads": 2, "total": 4.0, "parts": {"loss": 1.0}}},
    } | common
    documents["limit"] = {"benchmark": "limit", "limits": {"a": limit_of(50.0, 1.0, 4.0)}} | common
    figures = [{"rows": 1024, "block_rows": 256, "microseconds": [1.0, 1.25, 0.75]}]
    columns = ["in one piece", "blocks, 1 thread", "blocks, 2 threads"]
    documents["blocks"] = {"benchmark": "blocks", "columns": columns, "figures": figures} | common
    text = ledger.page(documents, {"a-CleanRL-style": "because.", "a-environment": "met, so not told."})
    what = "steps/s, ours / CleanRL-style loop's"
    share = 0.91 * 55 / 50
    assert f"| a | {what} | at least 5 | 4.9 | 4.8 to 5 | {share:.2f} | **missed** |" in text
    best = f"At the limit of the machine it would be {ledger.number(4.9 / share)}."
    assert f"- **a**, {what}: {best} because." in text and "not told" not in text
    assert (
        "| environment | 50.00, 1 |" in text and "| **limit** | 55.00 |" in text and "| limit / ours | 0.92 |" in text
    )
    assert f"| {CLEANRL} | 1 | 200 | 199 to 201 | 100 MB | 4.90 (4.80 to 5.00) |" in text
    assert f"| {OURS}, 2 races at a time | 1 of 2 | 60 | 60 to unsolved |" in text
    assert "| 1,024 | 256 | 1.00 | 1.25 | 0.75 |" in text
    assert "| part | a, 2 threads |" in text and "| loss | 1.00 (25%) |" in text
    assert "| `python bench/end_to_end.py` | 2026-01-02 | CPU, 2 cores | 012345678 with changes | numpy 2.0 |" in text
    assert "`python bench/solve.py --quick`" in text and ledger.QUICK in text


def limit_of(environment, acting, learning):
    parts = dict(zip(ledger.PARTS, (environment, acting, learning, 0.0), strict=True))
    total = sum(parts.values())
    return {
        "microseconds": {name: {"median": value} for name, value in parts.items()},
        "threads": dict.fromkeys([*parts, "ours"], 1),
        "limit": {"median": total},
        "ours": {"median": 60.0},
        "share": {"median": total / 60},
        "on_ranks": total / 2,
    }


@pytest.mark.parametrize(("row", "share"), [("a", 0.9 * 55 / 50), ("f", 0.9 * 27.5 / 50), ("c", 55 / 60)])
def test_the_limit_is_compared_by_way_of_the_bare_environments(row, share):
    limits = {"limit": {"limits": dict.fromkeys("ac", limit_of(50.0, 1.0, 4.0))}}
    documents = rows(OUR_ROW, contestant(ALONE, 1100, 0.9), row=row) | limits
    assert ledger.share_reached(row, documents) == pytest.approx(share)
    assert ledger.share_reached("b", documents) is None
    assert ledger.share_reached("a", limits) is None


def test_reasons_are_those_of_targets():
    reasons = tomllib.loads(ledger.REASONS.read_text())
    assert set(reasons) <= {target.key for target in targets.TARGETS}


def test_publishing_leaves_out_the_curves_and_what_it_writes_makes_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "OUT", tmp_path)
    documents = rows(OUR_ROW) | {"solve": {"benchmark": "solve", "runs": [1], "results": []}}
    common = {"quick": False, "date": "d", "cpu": "CPU", "cores": 2, "arguments": ["--rounds", "9"]}
    documents = {name: document | common for name, document in documents.items()}
    ledger.publish(documents, ledger.page(documents, {}), tmp_path / "page.md")
    again = ledger.read(sorted((tmp_path / "page").glob("*.json")))
    assert ledger.page(again, {}) == (tmp_path / "page.md").read_text()
    assert "runs" not in json.loads((tmp_path / "page" / "solve.json").read_text())


def test_the_committed_page_is_what_its_files_make():
    documents = ledger.read(sorted((DOCS / "performance").glob("*.json")))
    assert set(documents) == set(ledger.BENCHMARKS)
    assert ledger.page(documents, tomllib.loads(ledger.REASONS.read_text())) == (DOCS / "performance.md").read_text()
    for name in ledger.PICTURES:
        assert (DOCS / "images" / f"{name}.png").stat().st_size > 1000
