"""The sections of docs/performance.md that are tables of one benchmark's figures; its command prints them as well."""

from collections.abc import Callable

from bench.report.tables import ends, number, table
from bench.report.target_kinds import OURS, Result

LIMIT = """\
Microseconds an environment step, and threads: the bare environments, products of BLAS with the shapes of the row, the
memory that Adam and the gradient's norm must move, and nothing else: no activation, no loss, no Python. An update's
products in blocks are taken to be halved by a second thread, and whatever one core does by a second rank, but for Adam
and the norm, which each rank does for itself. In row m a second thread halves the environments and the inference as
well: they are compiled, and nothing holds them to one core. Its environments are the bare kernel.
"""
BLOCKS = """\
Loss and gradient of a minibatch of 2 x [64, 64] tanh, whole or in blocks: microseconds a row. A second thread is
used from four blocks on: what it brings to two is lost again where a run has to wake it for each minibatch.
"""


def limit_table(document: Result) -> list[str]:
    """Microseconds an environment step by part of the limit, a column a row of end_to_end."""
    columns = document["limits"]

    def row(name: str, cell: Callable[[Result], str]) -> list[str]:
        return [name, *map(cell, columns.values())]

    def part(name: str) -> list[str]:
        return row(name, lambda found: f"{found['microseconds'][name]['median']:.2f}, {found['threads'][name]}")

    rows = [
        *map(part, next(iter(columns.values()))["microseconds"]),
        row("**limit**", lambda found: f"{found['limit']['median']:.2f}"),
        row("ours", lambda found: f"{found['ours']['median']:.2f}, {found['threads']['ours']}"),
        row("limit / ours", lambda found: f"{found['share']['median']:.2f}"),
        row("**limit** of two ranks", lambda found: f"{found['on_ranks']:.2f}"),
        row("machine", lambda found: found.get("machine", "")),
    ]
    return ["## What the machine allows", "", LIMIT, *table(["part", *columns], rows)]


def where_table(document: Result) -> list[str]:
    """Microseconds an environment step by part, a column a row of end_to_end."""
    columns = document["rows_by_part"]

    def cell(column: Result, part: str) -> str:
        value = column["parts"][part]
        return f"{value:.2f} ({value / column['total']:.0%})"

    heads = [f"{row}, {column['threads']} thread{'s'[: column['threads'] > 1]}" for row, column in columns.items()]
    rows = [
        [part, *(cell(column, part) for column in columns.values())] for part in next(iter(columns.values()))["parts"]
    ]
    rows.append(["**total**", *(f"{column['total']:.2f}" for column in columns.values())])
    machines = ", ".join(dict.fromkeys(f" on {one['machine']}" for one in columns.values() if "machine" in one))
    what = f"Microseconds an environment step{machines}."
    return ["## Where the time goes", "", what, "", *table(["part", *heads], rows)]


def blocks_table(document: Result) -> list[str]:
    """Microseconds a row of a minibatch, whole and in blocks."""
    rows = [
        [f"{one['rows']:,}", str(one["block_rows"]), *(f"{value:.2f}" for value in one["microseconds"])]
        for one in document["figures"]
    ]
    return ["## Blocks and threads", "", BLOCKS, *table(("rows", "of a block", *document["columns"]), rows, words=())]


def of_contestants(results: list[Result], heading: tuple[str, ...], cells: Callable[[Result], list[str]]) -> list[str]:
    """A line for each contestant, with its cells or why it was left out."""

    def row(one: Result) -> list[str]:
        if "skipped" in one:
            return [one["contestant"], "", f"left out: {one['skipped']}", *[""] * (len(heading) - 3)]
        return cells(one)

    return table(heading, [row(one) for one in results])


def row_table(name: str, row: Result) -> list[str]:
    """A line for each contestant of one row."""
    unit = "minibatches/s" if name in ("small", "article") else "steps/s"

    def cells(one: Result) -> list[str]:
        ratio = one.get("ratio")
        times = f"{ratio['median']:.2f} ({ratio['q1']:.2f} to {ratio['q3']:.2f})" if ratio else ""
        memory = f"{one['peak_memory_mb']:,.0f} MB"
        return [one["contestant"], str(one["threads"]), number(one["median"]), ends(one, "min", "max"), memory, times]

    heading = ("contestant", "threads", unit, "range", "peak memory", f"{OURS} is x times as fast")
    machine = f" ({row['machine']})" if "machine" in row else ""
    return [f"**{name}** {row['title']}{machine}", "", *of_contestants(row["results"], heading, cells)]


def solve_table(document: Result) -> list[str]:
    """A line for each contestant of the race."""

    def cells(one: Result) -> list[str]:
        name = one["contestant"] + (f", {one['jobs']} races at a time" if one["jobs"] > 1 else "")
        seconds = number(one["median"], "unsolved"), ends(one, "min", "max", "unsolved")
        steps = number(one["steps"], "unsolved"), number(one["step_us"])
        return [name, f"{one['solved']} of {one['seeds']}", *seconds, *steps]

    heading = ("contestant", "solved", "seconds, median", "range", "steps, median", "us a step")
    title = "**Time to solve LunarLander-v3**, from the start of the process"
    return [title, "", *of_contestants(document["results"], heading, cells)]


def pendulum_table(document: Result) -> list[str]:
    """A line for each contestant that trains on Pendulum with RLtools' settings."""

    def cells(one: Result) -> list[str]:
        numbers = [text for key in ("seconds", "mean_return") for text in spread(one[key])]
        return [one["contestant"], str(one["seeds"]), *numbers, *(spread(one["ratio"]) if "ratio" in one else ("", ""))]

    def spread(found: Result) -> tuple[str, str]:
        return f"{found['median']:.2f}", f"{found['min']:.2f} to {found['max']:.2f}"

    columns = ("seconds, median", "range", "greedy return, median", "range", "seconds / RLtools's", "range")
    heading = ("contestant", "seeds", *columns)
    title = "**k** Pendulum-v1 with RLtools' settings, 307,200 steps: seconds of training"
    return [title, "", *of_contestants(document["results"], heading, cells)]


def presets_table(document: Result) -> list[str]:
    """A line for each preset that was run until it had solved its environment."""

    def cells(one: Result) -> list[str]:
        seconds = number(one["median"], "unsolved"), ends(one, "min", "max", "unsolved")
        return [one["contestant"], f"{one['solved']} of {one['seeds']}", *seconds, number(one["steps"], "unsolved")]

    heading = ("preset", "solved", "seconds, median", "range", "steps, median")
    rows = [one | {"contestant": one["preset"] + one["contestant"].removeprefix(OURS)} for one in document["results"]]
    title = "**Presets**, from the start of the process to a good greedy policy, on fresh seeds"
    return [title, "", *of_contestants(rows, heading, cells)]


def compiled_table(document: Result) -> list[str]:
    """A line for each compiled environment."""
    rows = [
        [one["env_id"], *(number(one[name]["median"]) for name in ("kernel", "python", "gymnasium"))]
        for one in document["results"]
    ]
    heading = ("environment", "kernel", "from Python", "Gymnasium's own")
    title = "**Compiled environments** without learning, 64 of them, 1 thread: steps a second, medians"
    return [title, "", *table(heading, rows)]
