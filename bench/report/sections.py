"""The sections of docs/performance.md that are tables of one benchmark's figures; its command prints them as well."""

from collections.abc import Callable

from bench.report.tables import number, table
from bench.report.targets import OURS, Result

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


def limit_table(document: Result) -> list[str]:
    """Microseconds an environment step by part of the limit, a column a row of end_to_end."""
    columns = document["limits"]

    def cells(find: Callable[[Result], str]) -> list[str]:
        return [find(column) for column in columns.values()]

    def part(name: str) -> list[str]:
        return cells(lambda found: f"{found['microseconds'][name]['median']:.2f}, {found['threads'][name]}")

    rows = [[name, *part(name)] for name in next(iter(columns.values()))["microseconds"]]
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
    title = "**Time to solve LunarLander-v3**, from the start of the process"
    return [title, "", *table(heading, rows)]
