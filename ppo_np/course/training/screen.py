"""How lesson 20 is shown: progress, the learning curve as text, and the verdict."""

import math
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
from rich.text import Text

from ppo_np.course.training.result import LOW, ROUNDED, SAME, TrainingResult
from ppo_np.logs.logger import TextAboveBar
from ppo_np.running.output import shows_bar

ROWS, WIDTH = 12, 40  # of the learning curve
LINES = 10  # about so many in a run, where there is no progress bar


class TrainingScreen:
    """Prints to a console: a progress bar in a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console):
        self._console = console
        columns = BarColumn(bar_width=None), MofNCompleteColumn(), TimeRemainingColumn()
        self._progress = TextAboveBar(*columns, console=console, disable=not shows_bar(console))
        self._started = False

    def start(self, training: TrainingResult, missing: Sequence[str]) -> None:
        """Say which functions are installed."""
        self.note(f"{len(training.installed)} of your functions are installed: {', '.join(training.installed)}.")
        if missing:
            self.note(f"The package's own are used for: {', '.join(missing)}.")
        self.note("First the gradients are checked by differences of the whole loss, in float64.")

    def update(self, training: TrainingResult) -> None:
        """Show the last update."""
        update, updates = len(training.curve), training.updates
        so_far = f"other bits from update {training.mismatch.update}" if training.mismatch else "the same bits so far"
        text = f"update {update} of {updates}: mean return {training.last_return:.1f}, {so_far}"
        if self._progress.disable:
            if update == 1 or update == updates or update % max(1, updates // LINES) == 0:
                self.note(text)
            return
        if not self._started:
            self._progress.add_task(text, total=updates)
            self._progress.start()
            self._started = True
        self._progress.update(self._progress.task_ids[0], completed=update, description=text)

    def note(self, text: str) -> None:
        """Print a sentence."""
        self._console.print(text, soft_wrap=not self._console.is_terminal)

    def close(self, training: TrainingResult) -> None:
        """Print the learning curve and the verdict."""
        if self._started:
            self._progress.stop()
        if training.curve:
            self._console.print()
            for line in curve_lines(training.curve):
                self._console.print(line)
            self._console.print()
        colour = "green" if training.exit_code == 0 else "bold red"
        first, *more = verdict_lines(training)
        self._console.print(Text(first, colour), soft_wrap=not self._console.is_terminal)
        for line in more:
            self.note(line)


def curve_lines(curve: Sequence[tuple[int, float]], rows: int = ROWS) -> list[str]:
    """The learning curve: at most `rows` lines, with a bar that is longest at the highest return."""
    chosen = sorted({round(i * (len(curve) - 1) / max(rows - 1, 1)) for i in range(rows)})
    points = [curve[i] for i in chosen]
    finite = [value for _, value in points if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    lines = ["     step   return (mean of the last 100 episodes)"]
    for step, value in points:
        share = (value - low) / (high - low) if high > low and math.isfinite(value) else 0.0
        lines.append(f"{step:9,} {value:8.1f} {'#' * round(share * WIDTH)}".rstrip())
    return lines


def verdict_lines(training: TrainingResult) -> list[str]:
    """The verdict in sentences; the first one says it all."""
    found = training.mismatch
    where = f"update {found.update}, {found.tensor}{list(found.place)}" if found else ""
    if training.verdict == SAME:
        first = f"The same bits: after each of {len(training.curve)} updates, your parameters are those of the package."
    elif training.verdict == ROUNDED:
        first = f"Right, but your functions round differently, first at {where}."
    elif training.verdict == LOW:
        first = f"The gradients are right, but the return is too low; other bits first at {where}."
    elif training.fault:
        first = f"Wrong: {training.fault}"
    elif training.differences:
        first = f"Wrong: {', '.join(difference.function for difference in training.differences)}."
    else:
        first = f"Wrong: {len(training.wrong_gradients)} gradients differ from differences of the loss."
    return [first, *_details(training)]


def _details(training: TrainingResult) -> list[str]:
    lines = [str(difference) for difference in training.differences]
    if training.wrong_gradients:
        wrong = training.wrong_gradients[0]
        numbers = f"yours {wrong.check.analytic:.6g}, by differences {wrong.check.numeric:.6g} at {wrong.check.worst}"
        lines.append(f"Gradient check, {wrong.network}: the first wrong one is {wrong.check.name} ({numbers}).")
    elif training.gradients:
        lines.append(f"Gradient check: all {training.gradients} gradients are right.")
    found = training.mismatch
    if found and found.diverged:
        lines.append(found.diverged)
    elif found and found.tensor:
        numbers = f"{found.yours:.9g}, the package has {found.products:.9g}; {found.count} parameters differ"
        lines.append(f"There you have {numbers}.")
    if not training.same_order:
        lines.append(
            "minibatches draws another order than the package, which is allowed; the package's order was used."
        )
    if training.complete:
        solved = f"; {training.threshold:g} counts as solved" if training.threshold is not None else ""
        lines.append(f"Mean return of the last 100 episodes: {training.last_return:.1f}{solved}.")
    return [*lines, f"{training.seconds:.0f} seconds."]
