"""Values and wrappers as the settings write them, as text: nothing of it is imported or evaluated here."""

import ast
from typing import Any, NamedTuple

from ppo_np.errors import check, short


class WrapperCall(NamedTuple):
    """A wrapper as the settings name it: class `name` of `module`, with its arguments after the environment."""

    module: str
    name: str
    args: list[Any]
    kwargs: dict[str, Any]


def wrapper_call(text: str) -> WrapperCall:
    """Read "module:Class" or "module:Class(name=literal, ...)"; nothing is imported or evaluated.

    Raises UserError if the text has another form or if an argument is no literal.
    """
    module, _, call = text.partition(":")
    try:
        node = ast.parse(call.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        node = None
    name, given, named = (node.func, node.args, node.keywords) if isinstance(node, ast.Call) else (node, [], [])
    names = [keyword.arg for keyword in named]
    good = text.isprintable() and isinstance(name, ast.Name) and None not in names and len(set(names)) == len(names)
    good = good and all(map(str.isidentifier, module.split(".")))
    check(good, "wrappers", text, "module:Class or module:Class(name=literal, ...)")
    values = []
    for argument in (*given, *(keyword.value for keyword in named)):
        try:
            values.append(ast.literal_eval(argument))
        except (ValueError, TypeError, MemoryError, RecursionError):
            source = short(ast.unparse(argument))
            check(False, "wrappers", text, f"module:Class(name=literal, ...), and {source} is no Python literal")
    assert isinstance(name, ast.Name)
    count = len(given)
    return WrapperCall(module, name.id, values[:count], dict(zip(map(str, names), values[count:], strict=True)))


def literal(text: str) -> Any:
    """The value of a Python literal; the text itself if it is none. Nothing is evaluated."""
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text


def literal_text(value: Any) -> str:
    """The text that `literal` reads as this value: a string as it is if it is no literal, else Python's repr.

    Raises ValueError if the value cannot be written as a literal.
    """
    if isinstance(value, str) and value.isprintable() and literal(value) == value:
        return value
    text = repr(value)
    if literal(text) != value:
        raise ValueError(f"{short(value)} is no literal")
    return text


def is_literal(value: Any) -> bool:
    """Whether `literal_text` can write this value."""
    try:
        literal_text(value)
    except (ValueError, RecursionError):
        return False
    return True
