"""The ledger of speed: each target with its figure and its verdict, as Markdown, from the comparisons' JSON files.

    python bench/ledger.py
    python bench/ledger.py runs/bench/end_to_end.json runs/bench/minibatch.json --out ledger.md

Where two files hold the same row, the later one counts. A ratio is that of the medians; its range is that of the turns,
the first of ours against the first of theirs and so on, since neighbours in time had the same machine.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from contest import OUT

Result = dict[str, Any]
OURS = "ppo_np"
FIGURES = ("figure", "min", "max")


@dataclass(frozen=True, kw_only=True)
class Target:
    """Something to reach.

    Attributes:
        row: of end_to_end ("a" to "e") or of minibatch ("small", "article").
        peer: whom ours is compared with; "" compares ours with `limit` itself.
        kind: "faster" (ours / peer, in steps a second, at least `limit`), "shorter" (peer / ours, in time, at least
            `limit`), "smaller" (ours / peer, in peak memory, at most `limit`) or "absolute" (ours, at least `limit`).
    """

    row: str
    peer: str = ""
    kind: str = "faster"
    limit: float


CLEANRL, ALONE = "CleanRL-style loop", "environment alone"
TORCH, JAX = "torch, eager", "jax.jit, one thread"
TARGETS = (
    Target(row="a", peer=CLEANRL, limit=5),
    Target(row="a", peer="Stable-Baselines3", limit=6),
    Target(row="a", peer="sbx", limit=6),
    Target(row="a", peer=ALONE, limit=0.90),
    Target(row="b", peer=ALONE, limit=0.93),
    Target(row="c", peer=CLEANRL, limit=2),
    Target(row="c", peer=CLEANRL, kind="smaller", limit=0.60),
    Target(row="d", peer="rejax", limit=1.5),
    Target(row="e", kind="absolute", limit=55_000),
    Target(row="e", peer=ALONE, limit=0.6),
    Target(row="small", peer=TORCH, kind="shorter", limit=12),
    Target(row="small", peer=JAX, kind="shorter", limit=2),
    Target(row="article", peer=TORCH, kind="shorter", limit=2),
)
SENTENCES = {
    "faster": "steps/s, ours / {peer}'s: at least {limit:g}",
    "shorter": "time of one minibatch, {peer}'s / ours: at least {limit:g}",
    "smaller": "peak memory, ours / {peer}'s: at most {limit:g}",
    "absolute": "steps/s: at least {limit:,.0f}",
}


def values(result: Result, kind: str) -> list[float]:
    """What the kind of target compares, one number a turn that came to an end."""
    figure = {"smaller": "peak_memory_mb", "shorter": "microseconds"}.get(kind, "sps_without_first_update")
    return [run[figure] for run in result["runs"] if "skipped" not in run]


def judge(target: Target, rows: dict[str, Any]) -> Result:
    """The figure with its least and most, and whether the target is met; "why" if that is not known."""
    results = {result["contestant"]: result for result in rows.get(target.row, {}).get("results", ())}
    names = [OURS, target.peer] if target.peer else [OURS]
    for name in names:
        if name not in results:
            return {"why": "not measured"}
        if "skipped" in results[name]:
            return {"why": results[name]["skipped"]}
    ours, *theirs = (values(results[name], target.kind) for name in names)
    theirs = theirs[0] if theirs else [1.0] * len(ours)
    if target.kind == "shorter":
        ours, theirs = theirs, ours
    pairs = [one / other for one, other in zip(ours, theirs, strict=False)]
    figure = median(ours) / median(theirs)
    met = figure <= target.limit if target.kind == "smaller" else figure >= target.limit
    return {"figure": figure, "min": min(pairs), "max": max(pairs), "met": met}


def target_table(rows: dict[str, Any]) -> list[str]:
    """A line for each target."""
    lines = ["| | target | figure | range | verdict |", "|---|---|---|---|---|"]
    for target in TARGETS:
        found = judge(target, rows)
        sentence = SENTENCES[target.kind].format(peer=target.peer, limit=target.limit)
        if "why" in found:
            lines.append(f"| {target.row} | {sentence} | | | unknown: {found['why']} |")
            continue
        figure, low, high = (f"{found[k]:,.0f}" if found[k] >= 1000 else f"{found[k]:.2f}" for k in FIGURES)
        lines.append(
            f"| {target.row} | {sentence} | {figure} | {low} to {high} | {'met' if found['met'] else 'missed'} |"
        )
    return lines


def row_table(name: str, row: Result, unit: str) -> list[str]:
    """A line for each contestant of one row."""
    lines = [f"**{name}** {row['title']}", "", f"| contestant | threads | {unit} | range | peak memory |"]
    lines.append("|---|---|---|---|---|")
    for result in row["results"]:
        if "skipped" in result:
            lines.append(f"| {result['contestant']} | | left out: {result['skipped']} | | |")
            continue
        middle, low, high = (f"{result[key]:,.0f}" for key in ("median", "min", "max"))
        memory = median(run["peak_memory_mb"] for run in result["runs"] if "skipped" not in run)
        lines.append(
            f"| {result['contestant']} | {result['threads']} | {middle} | {low} to {high} | {memory:,.0f} MB |"
        )
    return [*lines, ""]


def solve_table(document: Result) -> list[str]:
    """A line for each contestant of the race."""
    lines = ["**Time to solve**, seconds from the start of the process", ""]
    lines += ["| contestant | solved | median | range |", "|---|---|---|---|"]
    for result in document["results"]:
        if "skipped" in result:
            lines.append(f"| {result['contestant']} | | left out: {result['skipped']} | |")
            continue
        middle, low, high = ("unsolved" if result[k] is None else f"{result[k]:,.0f}" for k in ("median", "min", "max"))
        lines.append(
            f"| {result['contestant']} | {result['solved']} of {result['seeds']} | {middle} | {low} to {high} |"
        )
    return [*lines, ""]


def provenance(document: Result) -> str:
    """Where and when the numbers were measured, in one line."""
    told = ", ".join(f"{package} {number}" for package, number in document.get("versions", {}).items())
    told = f" {told}." if told else ""
    at = f", commit {document['commit'][:9]}" if document.get("commit") else ""
    at += " with changes" if document.get("dirty") else ""
    quick = " A quick run: the numbers mean nothing." if document["quick"] else ""
    when = f"{document['benchmark']}: {document['date']}"
    return f"{when}, {document['cpu']}, {document['cores']} cores{at}.{told}{quick}"


def page(documents: Sequence[Result]) -> str:
    """The whole ledger."""
    rows, tables, races = {}, {}, []
    for document in documents:
        if document["benchmark"] == "solve":
            races = solve_table(document)
        for name, row in document.get("rows", {}).items():
            rows[name] = row
            tables[name] = row_table(name, row, "steps/s" if document["benchmark"] == "end_to_end" else "microseconds")
    lines = [*target_table(rows), "", *(line for table in tables.values() for line in table), *races]
    return "\n".join([*lines, *(f"- {provenance(document)}" for document in documents)]) + "\n"


def main() -> None:
    """Read the files and print the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ("end_to_end", "minibatch", "solve")
    parser.add_argument("files", nargs="*", type=Path, help="JSON files; without any, those in runs/bench")
    parser.add_argument("--out", type=Path, help="write the page to this file instead of printing it")
    options = parser.parse_args()
    files = options.files or [path for path in (OUT / f"{name}.json" for name in names) if path.exists()]
    text = page([json.loads(path.read_text()) for path in files])
    if options.out:
        options.out.write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
