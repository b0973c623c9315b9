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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.contests.contest import OUT, commands_before
from bench.contests.end_to_end import ON_RANKS
from bench.contests.limit import ENVIRONMENT, PARTS
from bench.report.ranks_section import ranks_section
from bench.report.tables import number, table
from bench.report.targets import ALONE, OURS, TARGETS, Documents, Result, UnknownError, judge, result_of

REASONS = Path(__file__).with_name("reasons.toml")
BENCHMARKS = ("end_to_end", "minibatch", "limit", "where", "blocks", "scaling", "start", "solve", "ranks")
PICTURES = ("end_to_end", "scaling", "solve")
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
LIMIT = """\
Microseconds an environment step, and threads: the bare environments, products of BLAS with the shapes of the row, the
memory that Adam and the gradient's norm must move, and nothing else: no activation, no loss, no Python. An update's
products in blocks are taken to be halved by a second thread, and whatever one core does by a second rank, but for Adam
and the norm, which each rank does for itself.
"""
BLOCKS = """\
Loss and gradient of a minibatch of 2 x [64, 64] tanh, whole or in blocks: microseconds a row. A second thread is
used from four blocks on: what it brings to two is lost again where a run has to wake it for each minibatch.
"""
QUICK = (
    "**Some of these figures are of runs with `--quick`, which show only that everything works: see the last section.**"
)


def share_reached(row: str, documents: Documents) -> float | None:
    """How near ours came to what the machine allows in that row, to limit.py's; None if that is not known.

    Ours and the bare environments took turns in end_to_end.py, the limit and the bare environments in limit.py.
    """
    like = ON_RANKS[row][0] if row in ON_RANKS else row
    try:
        found = documents["limit"]["limits"][like]
        if row == "c":  # most of it is not the environment, and its share is a target itself
            return found["share"]["median"]
        ratio = result_of(documents, row, ALONE)["ratio"]["median"]
    except (KeyError, UnknownError):
        return None
    limit = found["on_ranks"] if row in ON_RANKS else found["limit"]["median"]
    return ratio * limit / found["microseconds"][ENVIRONMENT]["median"]


def target_table(documents: Documents) -> list[str]:
    """A line for each target."""
    rows = []
    for target in TARGETS:
        found = judge(target, documents)
        wanted = f"{'at most' if target.at_most else 'at least'} {target.limit:,g}"
        if "why" in found:
            rows.append([target.row, target.text, wanted, "", "", "", f"unknown: {found['why']}"])
            continue
        spread = f"{number(found['low'])} to {number(found['high'])}"
        verdict = "met" if found["met"] else "**missed**"
        share = None if target.at_most else share_reached(target.row, documents)
        share = f"{share:.2f}" if share else ""
        rows.append([target.row, target.text, wanted, number(found["figure"]), spread, share, verdict])
    return table(("row", "what", "target", "figure", "range", "share of the limit", "verdict"), rows, words=(0, 1, 6))


def reasons_of(documents: Documents, reasons: Mapping[str, str]) -> list[str]:
    """Why each missed target was missed, as far as somebody has written it down."""

    lines = []
    for target in TARGETS:
        found = judge(target, documents)
        if found.get("met") is not False or target.key not in reasons:
            continue
        own = target.at_most or target.key == "c-limit"
        share = None if own else share_reached(target.row, documents)
        best = f" At the limit of the machine it would be {number(found['figure'] / share)}." if share else ""
        lines.append(f"- **{target.row}**, {target.text}:{best} {reasons[target.key]}")
    return ["Why targets were missed:", "", *lines, ""] if lines else []


def limit_table(document: Result) -> list[str]:
    """Microseconds an environment step by part of the limit, a column a row of end_to_end."""
    columns = document["limits"]

    def cells(find: Callable[[Result], str]) -> list[str]:
        return [find(column) for column in columns.values()]

    def part(name: str) -> list[str]:
        return cells(lambda found: f"{found['microseconds'][name]['median']:.2f}, {found['threads'][name]}")

    rows = [[name, *part(name)] for name in PARTS]
    rows += [
        ["**limit**", *cells(lambda found: f"{found['limit']['median']:.2f}")],
        ["ours", *cells(lambda found: f"{found['ours']['median']:.2f}, {found['threads']['ours']}")],
        ["limit / ours", *cells(lambda found: f"{found['share']['median']:.2f}")],
        ["**limit** of two ranks", *cells(lambda found: f"{found['on_ranks']:.2f}")],
    ]
    return ["## What the machine allows", "", LIMIT, *table(["part", *columns], rows)]


def where_table(document: Result) -> list[str]:
    """Microseconds an environment step by part, a column a row of end_to_end."""
    columns = document["rows_by_part"]
    parts = list(next(iter(columns.values()))["parts"])

    def cell(column: Result, part: str) -> str:
        value = column["parts"][part]
        return f"{value:.2f} ({value / column['total']:.0%})"

    heads = [f"{row}, {column['threads']} thread{'s'[: column['threads'] > 1]}" for row, column in columns.items()]
    rows = [[part, *(cell(column, part) for column in columns.values())] for part in parts]
    rows.append(["**total**", *(f"{column['total']:.2f}" for column in columns.values())])
    return ["## Where the time goes", "", "Microseconds an environment step.", "", *table(["part", *heads], rows)]


def blocks_table(document: Result) -> list[str]:
    """Microseconds a row of a minibatch, whole and in blocks."""
    rows = [
        [f"{one['rows']:,}", str(one["block_rows"]), *(f"{value:.2f}" for value in one["microseconds"])]
        for one in document["figures"]
    ]
    return ["## Blocks and threads", "", BLOCKS, *table(("rows", "of a block", *document["columns"]), rows, words=())]


def row_table(name: str, row: Result) -> list[str]:
    """A line for each contestant of one row."""
    unit = "minibatches/s" if name in ("small", "article") else "steps/s"
    rows = []
    for result in row["results"]:
        if "skipped" in result:
            rows.append([result["contestant"], "", f"left out: {result['skipped']}", "", "", ""])
            continue
        middle, low, high = (number(result[key]) for key in ("median", "min", "max"))
        ratio = result.get("ratio")
        times = f"{ratio['median']:.2f} ({ratio['q1']:.2f} to {ratio['q3']:.2f})" if ratio else ""
        memory = f"{result['peak_memory_mb']:,.0f} MB"
        rows.append([result["contestant"], str(result["threads"]), middle, f"{low} to {high}", memory, times])
    heading = ("contestant", "threads", unit, "range", "peak memory", f"{OURS} is x times as fast")
    return [f"**{name}** {row['title']}", "", *table(heading, rows)]


def solve_table(document: Result) -> list[str]:
    """A line for each contestant of the race."""
    rows = []
    for result in document["results"]:
        if "skipped" in result:
            rows.append([result["contestant"], "", f"left out: {result['skipped']}", "", "", ""])
            continue
        middle, low, high = ("unsolved" if result[k] is None else number(result[k]) for k in ("median", "min", "max"))
        beside = f", {result['jobs']} races at a time" if result["jobs"] > 1 else ""
        name = result["contestant"] + beside
        steps = "unsolved" if result["steps"] is None else f"{result['steps']:,.0f}"
        solved = f"{result['solved']} of {result['seeds']}"
        rows.append([name, solved, middle, f"{low} to {high}", steps, number(result["step_us"])])
    heading = ("contestant", "solved", "seconds, median", "range", "steps, median", "us a step")
    picture = "![Greedy return against seconds since the start of the process](images/solve.png)"
    return [
        "**Time to solve LunarLander-v3**, from the start of the process",
        "",
        *table(heading, rows),
        picture,
        "",
    ]


def provenance(document: Result) -> list[str]:
    """Where and when the numbers of a document were measured, as cells."""
    versions = ", ".join(f"{package} {number}" for package, number in document.get("versions", {}).items())
    told = [one["commit"] for one in document.get("rows", {}).values() if "commit" in one]
    told += [commit for one in document.get("results", ()) for commit in one.get("commits", ())]
    commits = dict.fromkeys(told) or [document.get("commit") or ""]
    at = ", ".join(commit[:9] for commit in commits) + (" with changes" if document.get("dirty") else "")
    machine = f"{document['cpu']}, {document['cores']} cores"
    name = document["benchmark"]
    commands = ", ".join(
        f"`{' '.join([f'python -m bench.contests.{name}', *told])}`" for told in commands_before(document)
    )
    return [commands, document["date"], machine, at, versions]


def page(documents: Documents, reasons: Mapping[str, str]) -> str:
    """The whole page, from documents by the names of their benchmarks."""
    lines = [PREAMBLE]
    if any(document["quick"] for document in documents.values()):
        lines += [QUICK, ""]
    lines += ["## Targets", "", *target_table(documents), *reasons_of(documents, reasons)]
    if "limit" in documents:
        lines += limit_table(documents["limit"])
    if "where" in documents:
        lines += where_table(documents["where"])
    if "blocks" in documents:
        lines += blocks_table(documents["blocks"])
    if "scaling" in documents:
        picture = "![Steps a second against environments, width and minibatch size](images/scaling.png)"
        lines += ["## Scaling", "", documents["scaling"]["caption"], "", picture, ""]
    lines += ["## Contestants", ""]
    if "end_to_end" in documents:
        lines += ["![Steps a second of all contestants, row by row](images/end_to_end.png)", ""]
    for name in ("end_to_end", "minibatch"):
        for key, row in documents.get(name, {}).get("rows", {}).items():
            lines += row_table(key, row)
    if "solve" in documents:
        lines += solve_table(documents["solve"])
    if "ranks" in documents:
        lines += ranks_section(documents["ranks"])
    heading = ("command", "date", "machine", "commit", "versions")
    lines += [
        "## How it was measured",
        "",
        *table(heading, [provenance(one) for one in documents.values()], words=range(5)),
    ]
    return "\n".join(lines).rstrip() + "\n"


def read(files: Sequence[Path]) -> Documents:
    """Documents by the names of their benchmarks, in the order of `BENCHMARKS`."""
    found = {document["benchmark"]: document for document in (json.loads(path.read_text()) for path in files)}
    return {name: found[name] for name in BENCHMARKS if name in found}


def publish(documents: Documents, text: str, out: Path) -> None:
    """Write the page, the documents without the runs' curves beside it, and the pictures."""
    folder, images = out.parent / out.stem, out.parent / "images"
    folder.mkdir(exist_ok=True)
    images.mkdir(exist_ok=True)
    out.write_text(text)
    for name, document in documents.items():
        small = {key: value for key, value in document.items() if key != "runs"}
        (folder / f"{name}.json").write_text(json.dumps(small, indent=1) + "\n")
    for name in PICTURES:
        if (OUT / f"{name}.png").exists():
            shutil.copy(OUT / f"{name}.png", images / f"{name}.png")


def main() -> None:
    """Read the files and print the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="JSON files; without any, those in runs/bench")
    parser.add_argument("--out", type=Path, help="write the page to this file instead of printing it")
    options = parser.parse_args()
    files = options.files or [path for path in (OUT / f"{name}.json" for name in BENCHMARKS) if path.exists()]
    documents = read(files)
    text = page(documents, tomllib.loads(REASONS.read_text()))
    if options.out:
        publish(documents, text, options.out)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
