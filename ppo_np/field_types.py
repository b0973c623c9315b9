"""Values of the settings as plain Python values, and whether they have the types of their fields."""

import dataclasses
import math
import sys
import typing
from collections.abc import Mapping
from typing import Any, Literal

from ppo_np.errors import check
from ppo_np.literals import is_literal
from ppo_np.schedules import Schedule

INFINITE = ("max_grad_norm", "max_grad_norm_value", "env_timeout")


def plain(value: Any, hint: Any) -> Any:
    """The same value of a plain Python type, for a field with this annotation; as it is if there is none."""
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # NumPy's, which is not imported here
        value = value.tolist()
    if hint in (int, int | None) and isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list | tuple) and hint == tuple[int, ...]:
        return tuple(plain(size, int) for size in value)
    if isinstance(value, list | tuple) and hint == tuple[str, ...]:
        return tuple(plain(text, str) for text in value)
    if isinstance(value, Mapping) and hint == dict[str, Any]:
        return {plain(name, str): plain(one, Any) for name, one in value.items()}
    return value


def is_column_name(name: object) -> bool:
    """Whether a column of metrics.csv may have this name: printable text without commas and quotes."""
    return isinstance(name, str) and name.isprintable() and name.strip() == name != "" and not set(name) & set(",\"'")


def check_types(config: Any) -> None:
    """Refuse, for example, num_envs=4.5, gamma="0.9" or seed=True. An int is allowed where a float is expected.

    Args:
        config: a dataclass. INFINITE names its fields that may be infinite; a `Schedule` is not looked at.

    Raises UserError that names the field.
    """
    for field in dataclasses.fields(config):
        name, hint = field.name, field.type
        value = getattr(config, name)
        if hint is float or hint == float | None:
            good = isinstance(value, int | float) and not isinstance(value, bool)
            finite = good and abs(value) <= sys.float_info.max  # False for NaN
            good = finite or (name in INFINITE and value == math.inf)
            check(good or (value is None and hint is not float), name, value, "a finite number")
        elif hint is int or hint == int | None:
            good = isinstance(value, int) and not isinstance(value, bool)
            check(good or (value is None and hint is not int), name, value, "an integer")
        elif hint == Schedule:
            continue
        elif hint in (str, bool):
            check(isinstance(value, hint), name, value, f"a {hint.__name__}")
        elif typing.get_origin(hint) is Literal:
            check(value in typing.get_args(hint), name, value, f"one of {', '.join(typing.get_args(hint))}")
        elif hint == dict[str, Any]:
            good = isinstance(value, dict) and all(isinstance(k, str) and k.isidentifier() for k in value)
            check(good, name, value, "a mapping of names of arguments to values")
            for key, one in value.items():
                check(is_literal(one), f"{name}[{key!r}]", one, "a finite Python literal")
        elif hint == tuple[str, ...]:
            good = isinstance(value, tuple) and all(isinstance(v, str) for v in value)
            check(good, name, value, "a tuple of strings")
        else:
            good = isinstance(value, tuple) and all(isinstance(v, int) and not isinstance(v, bool) for v in value)
            check(good, name, value, "a tuple of integers")
