"""One minibatch as numbers: `python -m ppo_np.explain [RUN]`. Without RUN: a small network at a random point."""

import json
import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError, check
from ppo_np.running import cli
from ppo_np.running.output import make_console

if TYPE_CHECKING:
    from ppo_np.checking.lines import Line
    from ppo_np.checking.next_minibatch import Subject
    from ppo_np.checking.walkthrough import Walkthrough

WIDTH = 80  # of the output in a file or a pipe
SMALL = PPOConfig(env_id="CartPole-v1", shared_sizes=(4, 3), activation="tanh", max_grad_norm=0.1)
SECTIONS = {
    "inputs": "What the rollout has left",
    "forward": "Forward: the network and the distribution",
    "loss": "Forward: the loss",
    "backward": "Backward: every gradient",
    "step": "The step of the optimiser",
}


@dataclass(frozen=True, kw_only=True)
class ExplainOptions:
    """One minibatch as numbers: forward, backward, and the step of Adam, with formulas and finite differences.

    With RUN it is the minibatch that the run would learn from next; nothing is written into the run folder. Without, it
    is a random one, and the flags give the network. Exit code 1 if a gradient is not that of the finite differences.
    """

    run: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[RUN]")] = None
    """A run folder, or a checkpoint file."""
    config: tyro.conf.OmitArgPrefixes[PPOConfig] = field(default=SMALL)
    rows: int = 3
    """Rows of the minibatch that are shown: first those in different regions of the loss."""
    units: int = 3
    """Numbers of each layer that are shown."""
    minibatch: int = 1
    """With RUN: which minibatch of the next update, over all epochs; the ones before it are learned from."""
    json: bool = False
    """Print one JSON object instead of tables."""
    html: Path | None = None
    """Write a page into this file, in which the numbers can be changed; it needs no network."""

    def __post_init__(self) -> None:
        for name in ("rows", "units", "minibatch"):
            check(getattr(self, name) >= 1, name, getattr(self, name), "an integer >= 1")
        check(self.run is not None or self.minibatch == 1, "minibatch", self.minibatch, "1 without RUN")
        allowed = "left away with RUN: the run has its own settings"
        if self.run is not None and self.config != SMALL:
            changed = [k for k, v in self.config.to_dict().items() if v != SMALL.to_dict()[k]]
            check(False, changed[0], getattr(self.config, changed[0]), allowed)
        if self.html:
            check(not os.path.isdir(self.html), "html", str(self.html), "a file, not a folder")
            check(os.path.isdir(self.html.parent), "html", str(self.html), "in a folder that exists")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, compute, print or write the numbers, and return the exit code."""
    with cli.NUMBERS:
        options = tyro.cli(ExplainOptions, args=arguments, prog="python -m ppo_np.explain")
    # Slow imports: here, they do not delay --help and error messages.
    from ppo_np.checking.explain_page import page
    from ppo_np.checking.walkthrough import as_json, walk

    walkthrough = walk(_subject(options), options.rows, options.units)
    if options.html:
        _write(options.html, page(walkthrough, SECTIONS))
    if options.json:
        print(json.dumps(as_json(walkthrough), allow_nan=False))
    elif options.html:
        print(f"page             {options.html}")
        print("\n".join(_verdict(walkthrough, _width())))
    else:
        print("\n".join(_as_text(walkthrough, _width())))
    return cli.FAILED if walkthrough.wrong else cli.DONE


def _subject(options: ExplainOptions) -> "Subject":
    """The minibatch to explain. Raises UserError if there is no such run or checkpoint."""
    from ppo_np.checking.next_minibatch import next_subject, off_policy_subject

    if options.run is None:
        return off_policy_subject(options.config)
    from ppo_np.running.resume import read_run
    from ppo_np.saving.foreign import foreign_code

    saved, warning = read_run(options.run)
    if saved is None:
        raise UserError(f"RUN is {str(options.run)!r}, but that run ended before it had saved anything.")
    for text in filter(None, (warning, *foreign_code(saved.path, saved.config))):
        print(f"warning: {text}", file=sys.stderr)
    return next_subject(saved, options.minibatch)


def _write(path: Path, text: str) -> None:
    """Write a file. Raises UserError if it cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"html is {str(path)!r}, but it cannot be written: {error.strerror}.") from error


def _width() -> int:
    """Columns of the output."""
    console = make_console()
    return max(40, console.width) if console.is_terminal else WIDTH


def _as_text(walkthrough: "Walkthrough", width: int) -> Iterator[str]:
    """The lines of the output, none of them wider than `width`."""
    title, rows = walkthrough.subject.title, walkthrough.subject.minibatch.rows
    yield from textwrap.wrap(f"{title[:1].upper()}{title[1:]}: {rows} rows.", width)
    section = ""
    for line in walkthrough.lines:
        if line.section != section:
            section = line.section
            yield from ("", *textwrap.wrap(SECTIONS[section].upper(), width))
        yield ""
        yield from _heading(line, width)
        yield from _blocks(line, width)
        for text in (line.agreement, line.note):
            yield from textwrap.wrap(text, width, initial_indent="    ", subsequent_indent="    ")
    yield ""
    yield from _verdict(walkthrough, width)


def _heading(line: "Line", width: int) -> Iterator[str]:
    """Name and shape, formula, function and file."""
    name = f"{line.name}  {line.shape}" if line.shape else line.name
    yield from textwrap.wrap(name, width, initial_indent="  ", subsequent_indent="    ")
    for text in (line.formula, f"{line.function}, {line.file}" if line.function else ""):
        yield from textwrap.wrap(text, width, initial_indent="    ", subsequent_indent="      ")


def _blocks(line: "Line", width: int) -> Iterator[str]:
    """The numbers in as many tables as the width needs; below each gradient stands its finite difference."""
    from ppo_np.checking.lines import DIFFERENCE, as_text

    labels, rows = [""], [list(line.columns)]
    for i, (label, cells) in enumerate(zip(line.labels, line.numbers, strict=True)):
        labels.append(label)
        rows.append(list(map(as_text, cells)))
        if line.differences:
            labels.append(DIFFERENCE)
            rows.append(list(map(as_text, line.differences[i])))
    label_width = max(map(len, labels)) + 4
    cell_width = max(len(cell) for row in rows for cell in row) + 2
    fitting = max(1, (width - label_width) // cell_width)
    for start in range(0, len(line.columns), fitting):
        for label, row in zip(labels, rows, strict=True):
            yield f"    {label:<{label_width - 4}}" + "".join(f"{cell:>{cell_width}}" for cell in row[start:][:fitting])


def _verdict(walkthrough: "Walkthrough", width: int) -> Iterator[str]:
    """How many rows are in each region, and whether all gradients are right."""
    for title, counts in (("Surrogate", walkthrough.regions), ("Value loss", walkthrough.value_branches)):
        text = f"{title}, rows: " + ";  ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        yield from textwrap.wrap(text, width)
    yield from textwrap.wrap(walkthrough.verdict, width)


if __name__ == "__main__":
    cli.run(main)
