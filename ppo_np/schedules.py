"""Schedules: how a setting changes over a run, by the share of the run that is left (1 at its beginning, 0 at its end).

A schedule is one of four names, or a function. With p the share that is left and x the setting's initial value:

    constant      x
    linear        x p
    cosine        x (1 - cos(pi p)) / 2                   (Loshchilov and Hutter 2017, equation 5, without restarts)
    exponential   x EXPONENTIAL_END^(1 - p)               from x to 1 % of it
    a function    function(p): the value itself           (as in Stable-Baselines3; x is not used)

A function is given from Python, or as FILE.py:function on the command line. An update has one value, and p is that at
its beginning: 1 - steps done / steps of the run.
"""

import dataclasses
import importlib.util
import math
import os
from collections.abc import Callable, Mapping
from typing import Any, Self

from ppo_np.errors import UserError, check, short

Schedule = str | Callable[[float], float] | None

EXPONENTIAL_END = 0.01  # the share of the initial value to which `exponential` decays
SETTINGS = {"learning_rate": "anneal_lr", "clip_coef": "anneal_clip_coef", "ent_coef": "anneal_ent_coef"}
FACTORS: dict[str, Callable[[float], float]] = {
    "constant": lambda left: 1.0,
    "linear": lambda left: left,
    "cosine": lambda left: math.sin(math.pi / 2 * left) ** 2,  # (1 - cos(pi p)) / 2, also exact for small p
    "exponential": lambda left: EXPONENTIAL_END ** (1 - left),
}
FROM_PYTHON = "callable"  # what a file holds in place of a function that was given from Python
ALLOWED = f"one of {', '.join(FACTORS)}, FILE.py:function, or from Python a function"


def field_of(setting: str) -> str:
    """The name of the field with the schedule of a setting."""
    return f"{setting}_schedule"


def is_function(schedule: Schedule) -> bool:
    """Whether a schedule is a function of the user, or the name of one."""
    return schedule is not None and schedule not in FACTORS


def is_file(schedule: Schedule) -> bool:
    """Whether a schedule is the text FILE.py:function."""
    return isinstance(schedule, str) and schedule not in FACTORS and schedule != FROM_PYTHON


def file_of(schedule: str) -> str:
    """FILE of FILE.py:function."""
    return schedule.rpartition(":")[0]


def checked(name: str, schedule: Any) -> Schedule:
    """The schedule; the path of FILE.py:function is absolute. Raises UserError if it has none of the allowed forms."""
    if schedule is None or schedule in (*FACTORS, FROM_PYTHON) or callable(schedule):
        return schedule
    path, _, function = schedule.rpartition(":") if isinstance(schedule, str) else ("", "", "")
    check(path.endswith(".py") and function.isidentifier(), name, schedule, ALLOWED)
    return f"{os.path.abspath(path)}:{function}"


def as_text(schedule: Schedule) -> str | None:
    """The schedule for a file: FROM_PYTHON in place of a function."""
    return schedule if isinstance(schedule, str | None) else FROM_PYTHON


def loaded(name: str, schedule: Schedule) -> Schedule:
    """The schedule, with the function itself in place of FILE.py:function, which is run for that.

    Raises UserError if there is no such file or function, if the file raises an exception, or if the function was given
    from Python to a run that is resumed without it.
    """
    if schedule == FROM_PYTHON:
        flag, argument = f"--{name.replace('_', '-')} FILE.py:function", f"schedules={{{name!r}: function}}"
        raise UserError(
            f"{name} was a function given from Python, which a file cannot hold: give it again, by PPO.load(path, "
            f"{argument}) or {flag}."
        )
    if not (isinstance(schedule, str) and is_file(schedule)):
        return schedule
    path, _, function = schedule.rpartition(":")
    if not os.path.isfile(path):
        raise UserError(f"{name} is {schedule!r}, but there is no such file.")
    spec = importlib.util.spec_from_file_location(f"schedule_in_{os.path.basename(path)[:-3]}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UserError(f"{name} is {schedule!r}, but running that file raises {_reason(error)}.") from error
    found = getattr(module, function, None)
    if not callable(found):
        raise UserError(f"{name} is {schedule!r}, but that file has no function {function!r}.")
    return found


def value_at(setting: str, schedule: Schedule, initial: float, left: float) -> float:
    """The value of a setting.

    Args:
        setting: its name.
        schedule: a name from `FACTORS`, or a function.
        initial: its value at the beginning.
        left: the share of the run that is left, in (0, 1].

    Raises UserError if the function raises an exception or does not return a number in the range of the setting.
    """
    if isinstance(schedule, str):
        return initial * FACTORS[schedule](left)
    assert schedule
    when = f"with {left:g} of the run left"
    try:
        value: Any = schedule(left)
        value = value.item() if hasattr(value, "dtype") and hasattr(value, "item") else value
    except Exception as error:
        raise UserError(f"{field_of(setting)} raises {_reason(error)} {when}.") from error
    number = isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf
    zero, largest = setting == "ent_coef", 1e3 if setting == "learning_rate" else math.inf
    if not (number and (value > 0 or (zero and value == 0)) and value <= largest):
        limit = " and at most 1000" if largest < math.inf else ""
        allowed = f"a finite number >{'=' * zero} 0{limit}"
        raise UserError(f"{field_of(setting)} gives {short(value)} {when}, but it must give {allowed}.")
    return float(value)


def _reason(error: BaseException) -> str:
    """The exception in a few words."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__} ({text:.200})" if text else type(error).__name__


class Scheduled:
    """The settings that change over a run: the part of `PPOConfig` that knows their values in an update."""

    # Fields of PPOConfig, which describes them.
    learning_rate: float
    learning_rate_schedule: Schedule
    kl_adaptive_lr: float | None
    kl_adaptive_min_lr: float
    kl_adaptive_max_lr: float
    clip_coef: float
    value_clip_coef: float | None
    bc_coef: float
    update_epochs: int
    num_minibatches: int

    def check_adaptive(self) -> None:
        """Check the settings that `kl_adaptive_lr` uses."""
        schedule, lowest, highest = self.learning_rate_schedule, self.kl_adaptive_min_lr, self.kl_adaptive_max_lr
        allowed = "constant or left away with kl_adaptive_lr"
        check(schedule in (None, "constant"), "learning_rate_schedule", schedule, allowed)
        for name in ("kl_adaptive_threshold", "kl_adaptive_factor"):
            check(getattr(self, name) > 1, name, getattr(self, name), "a number > 1")
        check(lowest <= highest, "kl_adaptive_min_lr", lowest, f"at most kl_adaptive_max_lr, {highest}")
        allowed = f"in [kl_adaptive_min_lr, kl_adaptive_max_lr] = [{lowest}, {highest}] with kl_adaptive_lr"
        check(lowest <= self.learning_rate <= highest, "learning_rate", self.learning_rate, allowed)
        # In the only minibatch of an update, the policy has not changed yet, so its KL is 0.
        steps = self.update_epochs * self.num_minibatches
        check(steps > 1, "update_epochs * num_minibatches", steps, "at least 2 with kl_adaptive_lr")

    @property
    def value_clip(self) -> float:
        """The clip range of the value: value_clip_coef, else clip_coef."""
        return self.clip_coef if self.value_clip_coef is None else self.value_clip_coef

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The schedule of each of `SETTINGS`: its field, else linear if the setting is annealed.

        That of the learning rate is constant with `kl_adaptive_lr`.
        """
        found = {
            setting: getattr(self, field_of(setting)) or ("linear" if getattr(self, flag) else "constant")
            for setting, flag in SETTINGS.items()
        }
        return found if self.kl_adaptive_lr is None else found | {"learning_rate": "constant"}

    @property
    def schedule_files(self) -> list[str]:
        """The files that are run to know the settings of an update: those of FILE.py:function."""
        return list(dict.fromkeys(file_of(str(one)) for one in self.schedules.values() if is_file(one)))

    def with_functions(self) -> Self:
        """These settings with the functions themselves in place of FILE.py:function; see `loaded`."""
        given = {field_of(setting): one for setting, one in self.schedules.items() if is_function(one)}
        return dataclasses.replace(self, **{name: loaded(name, one) for name, one in given.items()})  # type: ignore[type-var]

    def without_functions(self) -> Self:
        """These settings with FROM_PYTHON in place of the functions that were given from Python."""
        texts = {field_of(setting): as_text(one) for setting, one in self.schedules.items() if callable(one)}
        return dataclasses.replace(self, **texts) if texts else self  # type: ignore[type-var]

    def with_schedules(self, given: Mapping[str, Schedule]) -> Self:
        """These settings with other functions, or FILE.py:function, by field name.

        Raises UserError if the schedule of that name was no function.
        """
        functions = [field_of(setting) for setting, one in self.schedules.items() if is_function(one)]
        for name in given:
            named = ", ".join(functions) or "left away, because none of the run's schedules is a function"
            check(name in functions, "schedules", name, f"one of {named}" if functions else named)
        return dataclasses.replace(self, **given)  # type: ignore[type-var]

    def values_at(self, left: float, adaptive_lr: float | None = None) -> dict[str, Any]:
        """The settings that change, by name, with their values in an update.

        value_learning_rate and value_clip_coef are multiplied by what learning_rate and clip_coef are multiplied by.
        bc_coef is always linear.

        Args:
            left: the share of the run that is left at the beginning of the update, in (0, 1].
            adaptive_lr: the learning rate of `kl_adaptive_lr`.

        Raises UserError as `value_at`; functions in files must have been loaded.
        """
        changing = {setting: one for setting, one in self.schedules.items() if one != "constant"}
        values = {setting: value_at(setting, one, getattr(self, setting), left) for setting, one in changing.items()}
        if self.kl_adaptive_lr is not None and adaptive_lr is not None:
            values["learning_rate"] = adaptive_lr
        if self.bc_coef:
            values["bc_coef"] = self.bc_coef * left
        for name, setting in (("value_learning_rate", "learning_rate"), ("value_clip_coef", "clip_coef")):
            if setting in values and getattr(self, name) is not None:
                values[name] = getattr(self, name) * (values[setting] / getattr(self, setting))
        return values
