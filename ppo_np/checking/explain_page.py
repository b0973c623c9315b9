"""A walk through a minibatch as one HTML file, in which numbers can be changed. It loads nothing from anywhere."""

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from kernels.loss import LOSS_TERMS, ppo_loss_forward
from ppo_np.checking.branches import SURROGATE_REGIONS
from ppo_np.checking.lines import DIFFERENCE, Line, as_text
from ppo_np.checking.regions import NO_ADVANTAGE, NO_CLIP
from ppo_np.checking.walkthrough import Walkthrough
from ppo_np.network.continuous import Beta, StateGaussian
from ppo_np.network.distributions import Bernoulli, Gaussian
from ppo_np.network.model import LOG_STD

TEMPLATE = "explain.html"
KINDS = {Bernoulli: "bernoulli", Gaussian: "gaussian", StateGaussian: "gaussian", Beta: "beta"}
CHARACTERS = 42  # of a row of a table, so that it fits a window of 400 px


def page(walkthrough: Walkthrough, sections: Mapping[str, str]) -> str:
    """The page. `sections` gives the title of each section of the lines, in order."""
    data = explorer_data(walkthrough)
    counts = (walkthrough.regions, walkthrough.value_branches)
    counted = ["; ".join(f"{name} {count}" for name, count in sorted(counter.items())) for counter in counts]
    parts = {
        "title": escape(walkthrough.subject.title),
        "verdict": escape(walkthrough.verdict),
        "regions": escape(f"Rows in each region of the surrogate: {counted[0]}. Of the value loss: {counted[1]}."),
        "outputs": f"one of its {data['output_name']}",
        "clip_coef": f"{data['clip_coef']:g}",
        "value_clip": f"{data['value_clip']:g}",
        "others": str(data["total"] - len(data["rows"])),
        "sections": "\n".join(
            _section(title, [line for line in walkthrough.lines if line.section == name])
            for name, title in sections.items()
        ),
        "data": json.dumps(data, allow_nan=False).replace("<", "\\u003c"),
    }  # fmt: skip
    template = files("ppo_np.checking").joinpath(TEMPLATE).read_text(encoding="utf-8")
    return re.sub(r"@(\w+)@", lambda match: parts[match[1]], template)


def explorer_data(walkthrough: Walkthrough) -> dict[str, Any]:
    """What the page computes with: the shown rows in float64, and the sums of the loss terms over the other rows."""
    subject, nudged = walkthrough.subject, walkthrough.nudged
    minibatch, activations, config = nudged.minibatch, nudged.activations, subject.config
    distribution = activations.distribution
    rows = [
        {
            "row": b,
            "outputs": activations.policy_outputs[b].tolist(),
            "action": np.atleast_1d(minibatch.actions[b]).reshape(-1).tolist(),
            "old_logprob": float(minibatch.old_logprobs[b]),
            "advantage": float(minibatch.advantages[b]),
            "value": float(activations.values[b]),
            "old_value": float(minibatch.old_values[b]),
            "return": float(minibatch.returns[b]),
        }
        for b in walkthrough.rows.tolist()
    ]
    return {
        "distribution": next((name for kind, name in KINDS.items() if isinstance(distribution, kind)), "categorical"),
        "output_name": distribution.output_name,
        "sizes": subject.model.head.sizes,
        "log_std": nudged.model.named(nudged.model.params).get(LOG_STD, np.zeros(0)).tolist(),
        "log_width": getattr(distribution, "log_width", np.zeros(0)).tolist(),
        "total": minibatch.rows,
        "rest": _rest(walkthrough),
        "clip_coef": config.clip_coef,
        "clip_vloss": config.clip_vloss,
        "value_clip": config.value_clip,
        "ent_coef": config.ent_coef,
        "vf_coef": config.vf_coef,
        "region_names": SURROGATE_REGIONS,
        "no_advantage": NO_ADVANTAGE,
        "no_clip": NO_CLIP,
        "rows": rows,
    }


def _rest(walkthrough: Walkthrough) -> dict[str, float]:
    """The sums of the loss terms over the rows that are not shown."""
    minibatch, activations = walkthrough.nudged.minibatch, walkthrough.nudged.activations
    config, distribution = walkthrough.subject.config, activations.distribution
    others = np.setdiff1d(np.arange(minibatch.rows), walkthrough.rows)
    terms = np.zeros(len(LOSS_TERMS))
    if len(others):
        arrays = (
            distribution.logprobs, distribution.entropies, activations.values,
            minibatch.old_logprobs, minibatch.old_values, minibatch.advantages, minibatch.returns,
        )  # fmt: skip
        coefficients = config.clip_coef, config.ent_coef, config.vf_coef, config.clip_vloss, config.value_clip
        ppo_loss_forward(*(array[others] for array in arrays), *coefficients, terms)
    sums = dict(zip(LOSS_TERMS, (terms * len(others)).tolist(), strict=True))
    del sums["loss"]
    return sums


def _section(title: str, lines: list[Line]) -> str:
    """A section of the page with all its lines."""
    return f'<h2>{escape(title)}</h2>\n<div class="lines">\n' + "\n".join(map(_line, lines)) + "\n</div>"


def _line(line: Line) -> str:
    """A line of the walk: name, formula, function and file, numbers."""
    shape = f" {line.shape}" if line.shape else ""
    parts = [f"<h3>{escape(line.name + shape)}</h3>"]
    if line.formula:
        parts.append(f"<p><code>{escape(line.formula)}</code></p>")
        parts.append(f'<p class="small"><code>{escape(line.function)}</code>, {escape(line.file)}</p>')
    parts.append(f'<div class="tables">{"".join(_tables(line))}</div>')
    parts += [f'<p class="small">{escape(text)}</p>' for text in (line.agreement, line.note) if text]
    return f'<section class="line">{"".join(parts)}</section>'


def _tables(line: Line) -> Iterator[str]:
    """The numbers in tables of a few columns; below each gradient stands its finite difference."""
    rows: list[tuple[str, list[str]]] = []
    for i, (label, cells) in enumerate(zip(line.labels, line.numbers, strict=True)):
        rows.append((label or ("gradient" if line.differences else ""), list(map(as_text, cells))))
        if line.differences:
            rows.append((DIFFERENCE, list(map(as_text, line.differences[i]))))
    label_width = max(len(label) for label, _ in rows) + 2
    cell_width = max(map(len, sum((cells for _, cells in rows), list(line.columns)))) + 2
    width = max(1, (CHARACTERS - label_width) // cell_width)
    for start in range(0, len(line.columns), width):
        part = slice(start, start + width)
        head = "".join(f'<th scope="col">{escape(column)}</th>' for column in line.columns[part])
        body = "".join(_row(label, cells[part]) for label, cells in rows)
        yield f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"


def _row(label: str, cells: list[str]) -> str:
    """A row of a table."""
    kind = ' class="difference"' if label == DIFFERENCE else ""
    return f'<tr{kind}><th scope="row">{escape(label)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
