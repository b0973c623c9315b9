"""The mutants of a text: cosmic-ray's operators change one place at a time."""

import re
from functools import cache
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

LEFT_OUT = (
    # Bits of a float: TypeError in the first test, whatever the tests are. They would only raise the score.
    "core/ReplaceBinaryOperator_.*_(BitAnd|BitOr|BitXor|LShift|RShift)",
    "core/ReplaceUnaryOperator_.*_Invert",
    # Whether two numbers are the same object: nobody writes that by mistake for < or >.
    "core/ReplaceComparisonOperator_.*_(Is|IsNot)",
    # With the JIT off, `kernel` returns the function as it is.
    "core/RemoveDecorator",
)
MODULE = "module"  # where a line is that is in no function


@cache
def _operators() -> dict[str, Any]:
    chosen = [name for name in operator_names() if not any(re.fullmatch(pattern, name) for pattern in LEFT_OUT)]
    classes = {name: get_operator(name) for name in chosen}
    return {name: operator() for name, operator in classes.items() if not operator.arguments()}


def places(source: str) -> list[tuple[str, int]]:
    """(operator, number of the place that it can change) of each mutant of a text."""
    nodes = list(ast_nodes(get_ast(source)))
    counts = {
        name: sum(1 for node in nodes for _ in operator.mutation_positions(node))
        for name, operator in _operators().items()
    }
    return [(name, number) for name, count in counts.items() for number in range(count)]


def mutant(source: str, name: str, number: int) -> str:
    """The text with one place changed."""
    text: str = mutate_code(source, _operators()[name], number)
    return text


def changed_line(source: str, mutated: str) -> tuple[str, str]:
    """The function that has the first line that differs, and this line as it is in the mutant."""
    function = MODULE
    for old, new in zip(source.splitlines(), mutated.splitlines(), strict=False):
        if defined := re.match(r" *def (\w+)", old):
            function = defined[1]
        elif old[:1] not in ("", " ", "@", ")"):
            function = MODULE
        if old != new:
            return function, new.strip()
    return function, "(lines added or removed)"
