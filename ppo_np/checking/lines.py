"""Lines of a walk through a minibatch: name, formula, kernel, numbers, and numeric derivatives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kernels.activation import RELU
from ppo_np.checking.formulas import SOURCES, Source
from ppo_np.checking.nudge import RELATIVE, Difference
from ppo_np.network.model import ActorCritic

Cell = float | int | str
Cells = Sequence[Cell] | np.ndarray
NORM, DIFFERENCE = "norm", "difference"
NOT_COMPUTED = Source("", "", "")


@dataclass(frozen=True)
class Line:
    """One quantity of the minibatch.

    Attributes:
        section: inputs, forward, loss, backward or step.
        name: in the code, or the name of a parameter tensor with d before it.
        shape: of the whole quantity.
        formula, function, file: how it is computed, and where; empty for what the rollout gave.
        columns, labels: names of the columns and of the rows of `numbers`.
        numbers: as the kernels have computed them.
        exact: the same computed in float64; only if there are `differences`.
        differences: numeric derivatives, central differences of the loss in float64; None where a kink lies too near.
        agrees: whether `exact` and `differences` agree; None if nothing could be compared.
        note: a sentence, or empty.
    """

    section: str
    name: str
    shape: tuple[int, ...]
    formula: str
    function: str
    file: str
    columns: tuple[str, ...]
    labels: tuple[str, ...]
    numbers: tuple[tuple[Cell, ...], ...]
    exact: tuple[tuple[float, ...], ...] = ()
    differences: tuple[tuple[float | None, ...], ...] = ()
    agrees: bool | None = None
    note: str = ""

    @property
    def largest_error(self) -> float:
        """The largest |exact - difference|; 0 if nothing was compared."""
        pairs = zip(sum(self.exact, ()), sum(self.differences, ()), strict=True)
        return max((abs(a - n) for a, n in pairs if n is not None), default=0.0)

    @property
    def agreement(self) -> str:
        """In words, whether the gradient is that of the finite differences; empty if the line has none."""
        if not self.differences:
            return ""
        if self.agrees is None:
            return "not compared: a kink lies within the step of the finite difference"
        verdict = "agrees" if self.agrees else "WRONG: does not agree"
        return f"{verdict} with the finite difference; largest error {self.largest_error:.1e}"


class Lines:
    """Collects the lines of a walk.

    Args:
        model: the network.
        rows: (R,), rows of the minibatch that are shown.
        units: how many numbers of a layer are shown.
    """

    def __init__(self, model: ActorCritic, rows: np.ndarray, units: int):
        self.lines: list[Line] = []
        self.rows, self.units = rows, units
        self.columns = tuple(f"row {b}" for b in rows)
        self.activation = "relu" if model.activation == RELU else "tanh"

    @staticmethod
    def source(name: str) -> Source:
        """Formula, function and file of a quantity that does not depend on the distribution."""
        return SOURCES[name]

    def add(
        self, section: str, name: str, source: Source | None, shape: tuple[int, ...], columns: Sequence[str],
        table: Mapping[str, Cells], exact: Sequence[Sequence[float]] = (),
        differences: Sequence[Sequence[Difference]] = (), note: str = "",
    ) -> None:  # fmt: skip
        """Add a line whose `table` maps labels to numbers, one for each column."""
        pairs = [(a, n) for row, many in zip(exact, differences, strict=True) for a, n in zip(row, many, strict=True)]
        right = [abs(a - n.value) <= RELATIVE * abs(n.value) + n.rounding for a, n in pairs if not np.isnan(n.value)]
        numeric = tuple(tuple(None if np.isnan(n.value) else n.value for n in many) for many in differences)
        cells = tuple(tuple(map(plain, many)) for many in table.values())
        analytic = tuple(tuple(map(float, many)) for many in exact)
        agrees = all(right) if right else None
        names = tuple(columns), tuple(table)
        origin = source or NOT_COMPUTED
        self.lines.append(Line(section, name, shape, *origin, *names, cells, analytic, numeric, agrees, note))

    def per_row(self, section: str, name: str, source: Source | None, array: np.ndarray, norm: bool = False) -> None:
        """Add the first numbers of the shown rows of a (B,) or (B, O) array, and the norms of those rows if asked."""
        if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1):
            self.add(section, name, source, array.shape, self.columns, {"": array.reshape(-1)[self.rows]})
            return
        shown = array[self.rows]
        table: dict[str, Cells] = {f"[{i}]": shown[:, i] for i in range(min(self.units, array.shape[1]))}
        if norm:
            table[NORM] = [float(np.linalg.norm(np.float64(row))) for row in shown]
        self.add(section, name, source, array.shape, self.columns, table)

    def words(self, section: str, name: str, source: Source, words: Sequence[str]) -> None:
        """Add a word for each shown row."""
        self.add(section, name, source, (len(words),), self.columns, {"": [words[b] for b in self.rows]})

    def vector(self, section: str, name: str, source: Source | None, array: np.ndarray) -> None:
        """Add the first numbers of a vector that does not depend on the row."""
        count = min(self.units, len(array))
        self.add(section, name, source, array.shape, [f"[{i}]" for i in range(count)], {"": array[:count]})

    def table(
        self, section: str, name: str, source: Source, columns: Sequence[str], table: Mapping[str, Cells],
        note: str = "",
    ) -> None:  # fmt: skip
        """Add a table of scalars."""
        self.add(section, name, source, (), columns, table, note=note)


def plain(cell: Cell) -> Cell:
    """A NumPy number as Python's; a float32 keeps its value."""
    return cell.item() if isinstance(cell, np.generic) else cell


def as_text(cell: Cell | None) -> str:
    """A number with six digits; a word as it is; None, where there is no finite difference, as a remark."""
    if cell is None:
        return "at a kink"
    return f"{cell + 0.0:.6g}" if isinstance(cell, float) else str(cell)  # + 0.0: no sign for a zero
