"""The table at the end of a sweep: a row for each setting, on the screen and as CSV."""

import csv
import io
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from ppo_np.evaluation.statistics import interval, iqm
from ppo_np.saving.files import write_whole
from ppo_np.searching.grid import Setting, text_of
from ppo_np.searching.result import EPISODES

RETURNS = {"training_return": f"last {EPISODES} episodes", "greedy_return": "greedy"}
Row = dict[str, Any]


def table_rows(settings: Sequence[Setting], results: Sequence[Sequence[dict[str, Any]]], seeds: int) -> list[Row]:
    """A row for each setting that has a finished run, the best first, from the results of its seeds.

    For `training_return` and `greedy_return`: the interquartile mean over seeds, and the ends of its 95% interval. None
    stands for what is not known. `wall_time` (s) and `steps` are medians. The best has the highest greedy_return_iqm,
    or the highest training_return_iqm if there is none.
    """
    rows = [
        {name: text_of(name, value) for name, value in setting.values.items()}
        | {"seeds": len(found), "seeds_asked": seeds}
        | {name: cell for kind in RETURNS for name, cell in _mean_cells(kind, found).items()}
        | {name: round(statistics.median(result[name] for result in found)) for name in ("steps", "wall_time")}
        for setting, found in zip(settings, results, strict=True)
        if found
    ]
    return sorted(rows, key=_rank, reverse=True)


def _mean_cells(kind: str, results: Sequence[dict[str, Any]]) -> Row:
    scores = [result[kind] for result in results if result[kind] is not None]
    low, high = (interval(scores) or (None, None)) if scores else (None, None)
    return {f"{kind}_iqm": float(iqm(scores)) if scores else None, f"{kind}_low": low, f"{kind}_high": high}


def _rank(row: Row) -> tuple[bool, float]:
    means = [row[f"{kind}_iqm"] for kind in ("greedy_return", "training_return")]
    known = [mean for mean in means if mean is not None]
    return bool(known), known[0] if known else 0.0


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows; what is not known is an empty cell. Raises OSError."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())


def as_table(rows: Sequence[Row], swept: Sequence[str]) -> Table:
    """The rows for the screen; `swept` are the names of the flags with several values."""
    table = Table(title="Interquartile mean of the return over seeds, and its 95% interval")
    for name in swept:
        table.add_column(name, overflow="fold")
    for name in ("seeds", *RETURNS.values(), "steps", "time"):
        table.add_column(name, justify="right")
    for row in rows:
        means = [_mean_text(*(row[f"{kind}_{end}"] for end in ("iqm", "low", "high"))) for kind in RETURNS]
        seeds = f"{row['seeds']} of {row['seeds_asked']}"
        table.add_row(*(row[name] for name in swept), seeds, *means, f"{row['steps']:,}", f"{row['wall_time']:,} s")
    return table


def _mean_text(mean: float | None, low: float | None, high: float | None) -> str:
    if mean is None:
        return "none"
    return f"{mean:.1f}" if low is None else f"{mean:.1f} [{low:.1f}, {high:.1f}]"
