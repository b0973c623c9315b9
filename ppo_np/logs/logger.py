"""The log of each update on the console: a line or a progress bar."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ppo_np.learning.metrics import Metrics


class ConsoleLogger:
    """A progress bar on a terminal; otherwise a plain line every `log_every` updates and after the last one."""

    def __init__(self, console: Console, total_timesteps: int, log_every: int):
        self._console = console
        self._total_timesteps, self._log_every = total_timesteps, log_every
        self._last = (0, 0.0)  # step and wall time of the last line
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn(), TimeRemainingColumn(),
            console=console, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._progress.add_task("starting", total=total_timesteps)
        self._progress.start()

    def log(self, metrics: Metrics, recent_return: float, recent_length: float) -> None:
        """Show an update, with means over the last 100 episodes (NaN before the first one has ended)."""
        if not self._progress.disable:
            text = f"return {recent_return:.1f}  length {recent_length:.0f}  SPS {metrics.SPS:,.0f}"
            self._progress.update(self._task, completed=metrics.step, description=text)
        elif metrics.update % self._log_every == 0 or metrics.step >= self._total_timesteps:
            step, wall_time = self._last
            sps = (metrics.step - step) / (metrics.wall_time - wall_time)
            self._last = (metrics.step, metrics.wall_time)
            self._console.print(
                f"step={metrics.step} episodic_return={recent_return:.2f} episodic_length={recent_length:.1f} "
                f"SPS={sps:.0f}", highlight=False, soft_wrap=True,
            )  # fmt: skip

    @property
    def pause(self) -> float:
        """Seconds between two calls of `note` that a reader can follow."""
        return 10.0 if self._progress.disable else 0.2

    def note(self, text: str, lasting: bool = False) -> None:
        """Show something about an evaluation: in the bar until the next update, or as a line if it is `lasting`."""
        text = f"evaluation: {text}"
        if self._progress.disable or lasting:
            self._console.print(text, highlight=False, soft_wrap=True, markup=False)
        else:
            self._progress.update(self._task, description=text)

    def close(self) -> None:
        """Stop the progress bar; its last state stays visible."""
        self._progress.stop()
