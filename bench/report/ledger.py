"""The ledger of speed, docs/performance.md, from the JSON files that the benchmarks write.

    python -m bench.report.ledger                            # print the page, from runs/bench/*.json
    python -m bench.report.ledger --out docs/performance.md  # write it, and copy the files to docs/performance/

Where two files are of the same benchmark, the later one counts. Why a target was missed is written by hand, in
reasons.toml, by the target's key.
"""

import argparse
import json
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.contests.contest import OUT, commands_before, write
from bench.contests.end_to_end import ON_RANKS
from bench.contests.limit import ENVIRONMENT
from bench.machine import name_of
from bench.report.ranks_section import ranks_section
from bench.report.sections import (
    blocks_table,
    compiled_table,
    limit_table,
    pendulum_table,
    presets_table,
    row_table,
    solve_table,
    where_table,
)  # fmt: skip
from bench.report.tables import ends, number, table
from bench.report.target_kinds import Documents, Result, UnknownError, judge, result_of
from bench.report.targets import ALONE, TARGETS

REASONS = Path(__file__).with_name("reasons.toml")
BENCHMARKS = (
    "end_to_end", "minibatch", "limit", "where", "blocks", "scaling", "start", "solve", "ranks", "pendulum", "presets",
    "compiled",
)  # fmt: skip
PICTURES = ("end_to_end", "scaling", "solve", "pendulum")
NOT_PUBLISHED = ("runs", "curves")  # many numbers, of which pictures are drawn
PREAMBLE = """\
# Performance

What training costs, beside peers and beside what the machine allows. This page is written by
`python -m bench.report.ledger --out docs/performance.md`, from the JSON files in [performance](performance), which the
commands of the last section write.

Contestants of a row are processes that take turns in slices of less than a second, each with its best number of
threads. Of rates, the figure is the median slice, and the range is from the least to the most; of ratios, the figure is
the median over the peer's slices, each with ours just before and after it, and the range is that of the quartiles
(one rank and several take turns update for update: there it is that of each round).
Memory is that of one process: on two ranks, of rank 0.
"""
QUICK = "**Some of these figures are of `--quick` runs, which show only that everything works: see the last section.**"
TABLES = {"limit": limit_table, "where": where_table, "blocks": blocks_table}


def share_reached(row: str, documents: Documents) -> float | None:
    """How near ours came to what the machine allows in that row, to limit.py's; None if that is not known.

    Ours and the bare environments took turns in end_to_end.py, the limit and the bare environments in limit.py, on the
    same machine.
    """
    like = ON_RANKS.get(row, row)
    try:
        found = documents["limit"]["limits"][like]
        if documents["end_to_end"]["rows"][row].get("machine") != found.get("machine"):
            return None
        if row in "cdm":  # their shares are targets themselves
            return found["share"]["median"]
        if row == "n":  # one core steps the environments alone, two do in the limit
            return None
        ratio = result_of(documents, row, ALONE)["ratio"]["median"]
    except (KeyError, UnknownError):
        return None
    limit = found["on_ranks"] if row in ON_RANKS else found["limit"]["median"]
    return ratio * limit / found["microseconds"][ENVIRONMENT]["median"]


def targets_and_reasons(documents: Documents, reasons: Mapping[str, str]) -> list[str]:
    """A line for each target, and why each missed target was missed, as far as somebody has written it down."""
    rows, why = [], []
    for target in TARGETS:
        found = judge(target, documents)
        share = None if target.at_most else share_reached(found.get("row", target.row), documents)
        about = [target.row, target.text, f"{'at most' if target.at_most else 'at least'} {target.limit:,.10g}"]
        if "why" in found:
            rows.append([*about, "", "", "", f"unknown: {found['why']}"])
            continue
        verdict = "met" if found["met"] else "**missed**"
        figure, spread = number(found["figure"]), ends(found, "low", "high")
        rows.append([*about, figure, spread, f"{share:.2f}" if share else "", verdict])
        if not found["met"] and reasons.get(target.key):
            share = None if target.key.endswith("-limit") else share
            best = f" At the limit of the machine it would be {number(found['figure'] / share)}." if share else ""
            why.append(f"- **{target.row}**, {target.text}:{best} {reasons[target.key]}")
    heading = ("row", "what", "target", "figure", "range", "share of the limit", "verdict")
    lines = ["## Targets", "", *table(heading, rows, words=(0, 1, 6))]
    return [*lines, "Why targets were missed:", "", *why, ""] if why else lines


def provenance(document: Result) -> list[str]:
    """Where and when the numbers of a document were measured, as cells."""
    versions = ", ".join(f"{package} {number}" for package, number in document["versions"].items())
    told = [one["commit"] for one in document.get("rows", {}).values() if "commit" in one]
    told += [commit for one in document.get("results", ()) for commit in one.get("commits", ())]
    commits = dict.fromkeys(told) or [document["commit"] or ""]
    at = ", ".join(commit[:9] for commit in commits) + (" with changes" if document["dirty"] else "")
    parts = [one for key in ("rows", "limits", "rows_by_part") for one in document.get(key, {}).values()]
    machines = dict.fromkeys(one["machine"] for one in parts if "machine" in one) or [name_of(document)]
    name = document["benchmark"]
    command = f"python -m bench.{name if name == 'compiled' else f'contests.{name}'}"
    commands = ", ".join(f"`{' '.join([command, *told])}`" for told in commands_before(document))
    return [commands, document["date"], "; ".join(machines), at, versions]


def picture(title: str, name: str) -> list[str]:
    """A picture beside the page."""
    return [f"![{title}](images/{name}.png)", ""]


def page(documents: Documents, reasons: Mapping[str, str]) -> str:
    """The whole page, from documents by the names of their benchmarks."""
    lines = [PREAMBLE]
    if any(document["quick"] for document in documents.values()):
        lines += [QUICK, ""]
    lines += targets_and_reasons(documents, reasons)
    for name, section in TABLES.items():
        lines += section(documents[name]) if name in documents else []
    if "scaling" in documents:
        lines += ["## Scaling", "", documents["scaling"]["caption"], ""]
        lines += picture("Steps a second against environments, width and minibatch size", "scaling")
    lines += ["## Contestants", ""]
    if "end_to_end" in documents:
        lines += picture("Steps a second of all contestants, row by row", "end_to_end")
    for name in ("end_to_end", "minibatch"):
        for key, row in documents.get(name, {}).get("rows", {}).items():
            lines += row_table(key, row)
    if "solve" in documents:
        lines += solve_table(documents["solve"])
        lines += picture("Greedy return against seconds since the start of the process", "solve")
    if "presets" in documents:
        lines += presets_table(documents["presets"])
    if "pendulum" in documents:
        lines += pendulum_table(documents["pendulum"])
        if "--curves" in documents["pendulum"]["arguments"]:
            lines += picture("Greedy return against seconds of training on Pendulum", "pendulum")
    if "compiled" in documents:
        lines += compiled_table(documents["compiled"])
    if "ranks" in documents:
        lines += ranks_section(documents["ranks"])
    heading = ("command", "date", "machine", "commit", "versions")
    found = [provenance(one) for one in documents.values()]
    lines += ["## How it was measured", "", *table(heading, found, words=range(5))]
    return "\n".join(lines).rstrip() + "\n"


def read(files: Sequence[Path]) -> Documents:
    """Documents by the names of their benchmarks, in the order of `BENCHMARKS`."""
    found = {document["benchmark"]: document for document in (json.loads(path.read_text()) for path in files)}
    return {name: found[name] for name in BENCHMARKS if name in found}


def publish(documents: Documents, text: str, out: Path) -> None:
    """Write the page, the documents without the runs' curves beside it, and the pictures."""
    for name, document in documents.items():
        small = {key: value for key, value in document.items() if key not in NOT_PUBLISHED}
        write(out.with_suffix("") / f"{name}.json", small)
    out.write_text(text)
    images = out.parent / "images"
    images.mkdir(exist_ok=True)
    for name in PICTURES:
        if (OUT / f"{name}.png").exists():
            shutil.copy(OUT / f"{name}.png", images / f"{name}.png")


def main() -> None:
    """Read the files and print the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="JSON files; without any, those in runs/bench")
    parser.add_argument("--out", type=Path, help="write the page to this file instead of printing it")
    options = parser.parse_args()
    documents = read(options.files or sorted(OUT.glob("*.json")))
    text = page(documents, tomllib.loads(REASONS.read_text()))
    if options.out:
        publish(documents, text, options.out)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
