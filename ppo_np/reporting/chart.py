"""A chart of a report: curves with bands as inline SVG, the numbers for its hover, and the table behind it.

The SVG is stretched to any width, so what must not be stretched stands beside it in HTML: the labels of the axes, and
the letters of the lines. The strokes are not stretched (`vector-effect` in report.html).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import numpy as np

SIZE = 1000.0  # width and height of the SVG's coordinates
COLOURS = 8  # classes c0 to c7 of report.html
ROWS = 9  # of the table behind a chart
NEAR = 6.5  # two letters stand at least so many % of the height apart


@dataclass(frozen=True, eq=False)
class Series:
    """A line of a chart.

    Attributes:
        index: which group: its colour.
        letter: the group's short name.
        x, mean, low, high: the line and its band, (points,) each; NaN where there is none.
        whole: where all runs of the group have data, (points,); elsewhere the line is dashed.
        dots: mark each point, as for numbers that are measured at a few steps only.
    """

    index: int
    letter: str
    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    whole: np.ndarray
    dots: bool = False

    @property
    def colour(self) -> str:
        """The class of its colour."""
        return f"c{self.index % COLOURS}"


@dataclass(frozen=True, eq=False)
class Chart:
    """A picture of one quantity.

    Attributes:
        name: unique in the page.
        title, about: what is shown in few words, and how, if the section does not say it.
        x_name: "steps" or "seconds".
        series: at least one line with at least one finite point.
    """

    name: str
    title: str
    about: str
    x_name: str
    series: Sequence[Series]

    @cached_property
    def x_range(self) -> tuple[float, float]:
        """The ends of the horizontal axis, which begins at 0."""
        return 0.0, max(float(s.x[-1]) for s in self.series) or 1.0

    @cached_property
    def y_range(self) -> tuple[float, float]:
        """The ends of the vertical axis."""
        return _span([a for s in self.series for a in (s.mean, s.low, s.high)], 0.04)

    def html(self) -> str:
        """The figure: picture and table."""
        title, about = escape(self.title), escape(self.about)
        words = escape("; ".join(map(_in_words, self.series)))
        label = f"{title}: {words}"
        return (
            f'<figure class="chart" id="{self.name}"><figcaption><b>{title}</b> <span class="small">{about}</span>'
            f'</figcaption><div class="plot" tabindex="0" role="group" aria-label="{title} by {self.x_name}; the arrow '
            f'keys read the numbers"><div class="area">{self._svg(label)}{self._labels()}'
            '<i class="rule" hidden></i></div><output class="tip" hidden></output></div>'
            f'<details><summary>Numbers<span class="hidden"> of {title}</span></summary>{self._table()}</details>'
            "</figure>"
        )

    def data(self) -> dict[str, Any]:
        """What the hover shows, for JSON: ranges, and the points of each line with five digits."""
        lines = []
        for s in self.series:
            line: dict[str, Any] = {
                "letter": s.letter,
                "colour": s.colour,
                "x": _numbers(s.x),
                "mean": _numbers(s.mean),
            }
            if np.isfinite(s.low).any() and (s.low != s.high).any():
                line |= {"low": _numbers(s.low), "high": _numbers(s.high)}
            lines.append(line)
        return {"unit": self.x_name, "x": self.x_range, "lines": lines}

    def _at(self, x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
        """Points in the SVG's coordinates."""
        (x0, x1), (y0, y1) = self.x_range, self.y_range
        return list(zip(SIZE * (x - x0) / (x1 - x0), SIZE * (y1 - y) / (y1 - y0), strict=True))

    def _svg(self, label: str) -> str:
        grid = "".join(f"M0 {SIZE * (1 - f):.1f}H{SIZE:g}" for _, f in ticks(*self.y_range))
        parts = [f'<path class="grid" d="{grid}"/>']
        for s in self.series:
            several = np.isfinite(s.low) & np.isfinite(s.high) & (s.low != s.high)
            if several.any():
                parts.append(f'<path class="band {s.colour}" d="{self._band(s)}"/>')
        for s in self.series:
            for kind, mask in (("", s.whole | _beside(s.whole)), (" some", ~s.whole)):
                if line := _line(self._at(s.x, np.where(mask, s.mean, np.nan))):
                    parts.append(f'<path class="line {s.colour}{kind}" d="{line}"/>')
            if s.dots or len(s.x) == 1:
                dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in self._at(s.x, s.mean) if math.isfinite(y))
                parts.append(f'<path class="dots {s.colour}" d="{dots}"/>')
        size = f"{SIZE:g}"
        return (
            f'<svg viewBox="0 0 {size} {size}" preserveAspectRatio="none" role="img" aria-label="{label}">'
            f"{''.join(parts)}</svg>"
        )

    def _band(self, s: Series) -> str:
        """The outline of each piece of the band."""
        good = np.isfinite(s.low) & np.isfinite(s.high)
        upper, lower = self._at(s.x, s.high), self._at(s.x, s.low)
        pieces = []
        for start, end in _pieces(good):
            corners = [*upper[start:end], *lower[start:end][::-1]]
            pieces.append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners) + "Z")
        return "".join(pieces)

    def _labels(self) -> str:
        """The numbers of the axes, and the letters at the ends of the lines."""
        spans = [f'<span class="y" style="top:{100 - 100 * f:.1f}%">{text}</span>' for text, f in ticks(*self.y_range)]
        spans += [f'<span class="x" style="left:{100 * f:.1f}%">{text}</span>' for text, f in ticks(*self.x_range)]
        low, high = self.y_range
        tops = [100 * float(high - s.mean[np.isfinite(s.mean)][-1]) / (high - low) for s in self.series]
        for top, s in zip(_apart(tops), self.series, strict=True):
            spans.append(f'<b class="end {s.colour}" style="top:{top:.1f}%">{s.letter}</b>')
        return f'<div aria-hidden="true">{"".join(spans)}</div>'

    def _table(self) -> str:
        """A few rows of the numbers: the mean of each group, and in brackets its band."""
        head = "".join(f'<th scope="col">{s.letter}</th>' for s in self.series)
        rows = []
        for x in np.linspace(min(s.x[0] for s in self.series), self.x_range[1], ROWS):
            cells = "".join(f"<td>{_cell(s, x)}</td>" for s in self.series)
            rows.append(f'<tr><th scope="row">{x:,.{0 if self.x_name == "steps" else 1}f}</th>{cells}</tr>')
        return scrolling(
            f'<table><thead><tr><th scope="col">{self.x_name}</th>{head}</tr></thead><tbody>{"".join(rows)}'
            "</tbody></table>",
            f"Numbers of {self.title}",
        )


def scrolling(table: str, label: str) -> str:
    """A table in a frame that scrolls by itself where it is too wide."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">{table}</div>'


def _cell(s: Series, x: float) -> str:
    """The numbers of a line at x; a dash outside of it."""
    if not s.x[0] <= x <= s.x[-1]:
        return "–"
    i = int(np.abs(s.x - x).argmin()) if s.dots else None
    mean, low, high = (float(a[i] if i is not None else np.interp(x, s.x, a)) for a in (s.mean, s.low, s.high))
    if not math.isfinite(mean):
        return "–"
    band = f" ({low:.4g} to {high:.4g})" if math.isfinite(low) and low != high else ""
    return f"{mean:.4g}{band}"


def _in_words(s: Series) -> str:
    """Where a line begins, its highest point and where it ends."""
    values = s.mean[np.isfinite(s.mean)]
    return f"{s.letter} begins at {values[0]:.4g}, is at most {values.max():.4g} and ends at {values[-1]:.4g}"


def _numbers(values: np.ndarray) -> list[float | None]:
    """Numbers for JSON with five digits, None for those that are not finite; integers are written without a point."""
    rounded = [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]
    return [int(value) if value is not None and value.is_integer() else value for value in rounded]


def _span(arrays: Sequence[np.ndarray], margin: float = 0.0) -> tuple[float, float]:
    """The smallest and the largest finite number with a share as margin; never the same number."""
    values = np.concatenate(arrays)
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    if low == high:
        half = abs(low) / 10 or 0.5
        return low - half, high + half
    return low - margin * (high - low), high + margin * (high - low)


def _beside(mask: np.ndarray) -> np.ndarray:
    """The points directly before and after those of a mask, so that a dashed line joins the solid one."""
    beside = np.zeros_like(mask)
    beside[1:] |= mask[:-1]
    beside[:-1] |= mask[1:]
    return beside


def _apart(tops: Sequence[float]) -> list[float]:
    """Places in % of the height, moved so that letters there do not cover each other; in the order of `tops`."""
    near = min(NEAR, 100 / len(tops))
    order = np.argsort(tops, kind="stable")
    placed = np.array(tops)[order]
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + near)
    placed[-1] = min(placed[-1], 100)
    for i in range(len(placed) - 2, -1, -1):
        placed[i] = min(placed[i], placed[i + 1] - near)
    found = np.empty_like(placed)
    found[order] = placed
    return found.tolist()


def _pieces(good: np.ndarray) -> list[tuple[int, int]]:
    """The ranges [start, end) in which all points are good."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], good.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _line(points: Sequence[tuple[float, float]]) -> str:
    """An SVG path through points, broken where one is not finite."""
    good = np.array([math.isfinite(y) for _, y in points], bool)
    pieces = [points[start:end] for start, end in _pieces(good)]
    return "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in piece) for piece in pieces)


def ticks(low: float, high: float, number: int = 5) -> list[tuple[str, float]]:
    """About so many round numbers between two numbers: their texts, and their places as a share of the way."""
    rough = (high - low) / number
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    values = [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    return [(short_number(value, step), (value - low) / (high - low)) for value in values]


def short_number(value: float, step: float) -> str:
    """A tick's text: k and M for thousands and millions, else as many digits as the step between ticks needs."""
    for factor, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= factor and step >= factor / 10:
            return f"{value / factor:.6g}{letter}"
    if step < 1e-3:
        return f"{value:.2g}" if value else "0"
    return f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"
