"""Callbacks: functions that `learn` calls after each update, and the numbers that they log."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ppo_np.environments.final_infos import number
from ppo_np.errors import check
from ppo_np.field_types import is_column_name
from ppo_np.learning.metrics import METRICS_COLUMNS, Metrics

Callback = Callable[[Any, Metrics], object]  # called with the PPO and the metrics of the update
Callbacks = Callback | Sequence[Callback] | None


def as_list(callback: Callbacks) -> list[Callback]:
    """The callbacks that `learn` was given, as a list. Raises UserError if one is not a function."""
    given: Any = callback if isinstance(callback, list | tuple) else [callback]
    callbacks = [one for one in given if one is not None]
    allowed = "a function or a list of functions; config.total_timesteps or more_steps says how long to train"
    for one in callbacks:
        check(callable(one), "callback", one, allowed)
    return callbacks


def run_callbacks(callbacks: Sequence[Callback], ppo: Any, metrics: Metrics) -> bool:
    """Call them all, one after the other. Returns False if one of them has returned False: training is to stop."""
    results = [callback(ppo, metrics) for callback in callbacks]
    return not any(isinstance(result, bool | np.bool_) and not result for result in results)


class LoggedValues:
    """The numbers that are logged for the present update, by name.

    Args:
        info_keys: the setting of that name.
        quiet: whether no warning is given.
    """

    def __init__(self, info_keys: Sequence[str] = (), quiet: bool = False):
        for key in info_keys:
            check(key not in METRICS_COLUMNS, "info_keys", key, "a name that is no column of metrics.csv")
        self._info_keys = info_keys
        self._not_seen = set() if quiet else set(info_keys)
        self._values: dict[str, list[float]] = {}

    def add(self, name: str, value: object) -> None:
        """Log a number; raises UserError as `PPO.log`."""
        allowed = "a name without commas, quotes and line breaks that is no column of metrics.csv"
        check(is_column_name(name) and name not in METRICS_COLUMNS, "name", name, allowed)
        as_float = number(value)
        check(as_float is not None, name, value, "a number")
        self._values.setdefault(name, []).append(as_float)  # type: ignore[arg-type]

    def add_infos(self, infos: Sequence[Mapping[str, float]]) -> None:
        """Log what the last infos of finished episodes have under the info keys; warn once if a key was in none."""
        for info in infos:
            for key, value in info.items():
                self._values.setdefault(key, []).append(value)
        for key in sorted(self._not_seen) if infos else ():
            if key not in self._values:
                what = f"{key!r} was not in the last infos of the first {len(infos)} finished episodes as a number"
                warnings.warn(f"info_keys: {what}.", RuntimeWarning, 2)
        if infos:
            self._not_seen.clear()

    def means(self) -> dict[str, float]:
        """The mean of the values of each name; NaN for info keys without a value."""
        with np.errstate(invalid="ignore", over="ignore"):
            means = {name: float(np.mean(values)) for name, values in self._values.items()}
        return dict.fromkeys(self._info_keys, float("nan")) | means

    def clear(self) -> None:
        """Forget the values: the next update begins."""
        self._values.clear()
