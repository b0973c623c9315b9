"""The log of each update on the console: a line or a progress bar."""

import math
from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.text import Text

from ppo_np.learning.metrics import Metrics


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

    @property
    def pause(self) -> float:
        """Seconds between two calls of `note` that a reader can follow."""
        return 10.0 if self._progress.disable else 0.2

    def note(self, text: str, lasting: bool = False) -> None:
        """Show something about an evaluation: in the bar until the next update, or as a line if it is `lasting`."""
        text = f"evaluation: {text}"
        if self._progress.disable or lasting:
            self._console.print(text, soft_wrap=True)
        else:
            self._progress.update(self._task, description=text)

    def close(self) -> None:
        """Stop the progress bar; its last state stays visible."""
        self._progress.stop()
