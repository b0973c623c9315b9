"""The log of each update: a CSV row, and a line or a progress bar on the console."""

import csv
import dataclasses
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.text import Text

from ppo_np.learning.metrics import Metrics
from ppo_np.saving.files import AppendFile, write_whole


class CSVLogger:
    """Writes a CSV file row by row.

    Args:
        path: the file; an existing one is continued.
        columns: names of the columns; the first is "update".
        last_update: rows of later updates and an incomplete last row are removed first.

    Attributes:
        rows: the rows that the file had at the beginning, without the header.

    Raises OSError if the file cannot be created.
    """

    def __init__(self, path: Path, columns: Sequence[str], last_update: int = 0):
        self.rows = [row for row in _whole_rows(path, len(columns)) if int(row[0]) <= last_update]
        write_whole(path, b"".join(map(_line, [columns, *self.rows])))
        self._file = AppendFile(path)

    def log(self, row: Iterable[object]) -> None:
        """Append one row; NaN becomes an empty cell.

        Raises OSError if the row cannot be written now. It is kept, and written together with the next one.
        """
        self._file.append(_line("" if isinstance(cell, float) and math.isnan(cell) else cell for cell in row))

    def log_metrics(self, metrics: Metrics) -> None:
        """Append the row of an update; raises as `log`."""
        self.log(dataclasses.astuple(metrics))

    def sync(self) -> None:
        """Force the file to disk. Raises OSError if that fails."""
        self._file.sync()


def _line(row: Iterable[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue().encode()


def _whole_rows(path: Path, columns: int) -> list[list[str]]:
    """The rows of a CSV file, without the header and without an incomplete last row."""
    text = path.read_text() if path.exists() else ""
    rows = list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))
    return [row for row in rows[1:] if len(row) == columns and row[0].isdigit()]


class TextAboveBar(Progress):
    """The description of a task in a line above its bar, so that a narrow terminal cuts neither."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Called by Rich to draw the text and the bar."""
        yield from (Text(task.description) for task in self.tasks)
        yield self.make_tasks_table(self.tasks)


class ConsoleLogger:
    """A progress bar if `bar` is true; otherwise a plain line every `log_every` updates and after the last one."""

    def __init__(self, console: Console, total_timesteps: int, log_every: int, bar: bool):
        self._console = console
        self._total_timesteps, self._log_every = total_timesteps, log_every
        self._last = (0, 0.0)  # step and wall time of the last line
        columns = BarColumn(bar_width=None), MofNCompleteColumn(), TimeRemainingColumn()
        self._progress = TextAboveBar(*columns, console=console, disable=not bar)
        self._task = self._progress.add_task("starting", total=total_timesteps)
        self._progress.start()

    def log(self, metrics: Metrics, recent_return: float, recent_length: float, reward_per_step: float) -> None:
        """Show an update, with means over the last 100 episodes; before the first one has ended, with the reward."""
        unfinished = math.isnan(recent_return)
        if not self._progress.disable:
            text = f"return {recent_return:.1f}  length {recent_length:.0f}"
            text = f"reward/step {reward_per_step:.4g}" if unfinished else text
            text += f"  SPS {metrics.SPS:,.0f}"
            self._progress.update(self._task, completed=metrics.step, description=text)
        elif metrics.update % self._log_every == 0 or metrics.step >= self._total_timesteps:
            step, wall_time = self._last
            sps = (metrics.step - step) / (metrics.wall_time - wall_time)
            self._last = (metrics.step, metrics.wall_time)
            text = f"episodic_return={recent_return:.2f} episodic_length={recent_length:.1f}"
            text = f"reward_per_step={reward_per_step:.4g}" if unfinished else text
            self._console.print(f"step={metrics.step} {text} SPS={sps:.0f}", soft_wrap=True)

    def close(self) -> None:
        """Stop the progress bar; its last state stays visible."""
        self._progress.stop()
