"""Calls of two functions beside each other on the same arguments: which of them disagree by more than rounding?"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray

# Two right functions in float64 differ by rounding: about 1e-16 of the largest number, times the rounding of long sums.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Difference:
    """Where a learner's function first gave another number than the product's.

    Attributes:
        function, result: the name of the function and of its result, as in dlogits.
        place: index in the result.
        update: in which it happened, counted from 1; 0 for the initial weights.
        yours, products: the two numbers.
        error: their difference, divided by the largest number of the product's result.
    """

    function: str
    result: str
    place: tuple[int, ...]
    update: int
    yours: float
    products: float
    error: float

    def __str__(self) -> str:
        """One sentence."""
        where = f"{self.result}{list(self.place) or ''}"
        numbers = f"{where} is {self.yours:.9g} and the product's is {self.products:.9g}"
        return f"{self.function}: in update {self.update}, your {numbers} (error {self.error:.1g} of the largest)."


@dataclass
class Comparison:
    """Collects the first difference of each function.

    Attributes:
        update: in which the run is, counted from 1; 0 while it is being made.
        differences: by name of the function, in the order in which they were found.
    """

    update: int = 0
    differences: dict[str, Difference] = field(default_factory=dict)

    def add(self, function: str, names: Sequence[str], yours: Sequence[Array], products: Sequence[Array]) -> None:
        """Compare the results of a call, one by one."""
        if function in self.differences:
            return
        for name, mine, right in zip(names, yours, products, strict=True):
            if mine.size and mine.shape == right.shape:
                self._compare(function, name, mine.astype(np.float64), right.astype(np.float64))

    def _compare(self, function: str, name: str, mine: Array, right: Array) -> None:
        errors = np.where(np.isfinite(mine), abs(mine - right), np.inf)
        errors[np.isnan(right) & np.isnan(mine)] = 0
        scale = max(float(np.abs(right).max()), np.finfo(float).tiny)
        if function not in self.differences and errors.max() > TOLERANCE * scale:
            at = tuple(int(i) for i in np.unravel_index(int(errors.argmax()), errors.shape))
            found = float(mine[at]), float(right[at]), float(errors[at] / scale)
            self.differences[function] = Difference(function, name, at, self.update, *found)
