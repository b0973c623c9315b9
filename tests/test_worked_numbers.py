"""The numbers worked by hand in docs/gradients.md: every equation of every ```text block holds, kernels included.

A line is a chain `name = expression = number`, or with a rounded number at its end, `≈ number`. A name stands for an
array that a kernel has computed, so the kernel's result, the arithmetic and the number shown must all be the same.
"""

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from finite_difference import assert_gradient, numeric_gradient
from worked_numbers import NAMES, backward, example_loss, example_params

PAGE = (Path(__file__).parent.parent / "docs" / "gradients.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^## \d+\. (.+)$", PAGE, re.MULTILINE)
SECTIONS = dict(zip(HEADINGS, re.split(r"^## .+$", PAGE, flags=re.MULTILINE)[1:], strict=True))
MATHS = {name: getattr(np, name) for name in ("log", "sqrt", "mean", "std", "pi", "nan")} | {"max": max, "sum": sum}


class Arrays(ast.NodeTransformer):
    """Lists become NumPy arrays, so that `2 * [1, 3]` is [2, 6]."""

    def visit_List(self, node):
        self.generic_visit(node)
        return ast.Call(ast.Name("_array", ast.Load()), [node], [])


def value(expression, names):
    tree = ast.fix_missing_locations(Arrays().visit(ast.parse(expression.strip(), mode="eval")))
    with np.errstate(invalid="ignore"):  # 0 times infinity, in "Numbers out of range"
        return np.asarray(eval(compile(tree, expression, "eval"), {"_array": np.array}, MATHS | names))


def unit_of_last_digit(numbers):
    """0.01 for `1.25`, 1e-12 for `1.7e-11`, and for a list that of its coarsest number."""
    digits = re.findall(r"\d+(?:\.(\d+))?(?:e([+-]?\d+))?", numbers)
    return max(10.0 ** (int(exponent or 0) - len(fraction)) for fraction, exponent in digits)


def mistake(line, names):
    """Why the chain does not hold; an empty string if it does."""
    exact, *rounded = line.split("≈")
    first, *others = re.split(r"(?<![=<>!])=(?!=)", exact)
    expected = value(first, names)
    pairs = [(part, 1e-12 * max(1.0, np.abs(expected).max())) for part in others]
    pairs += [(part, 0.5000001 * unit_of_last_digit(part)) for part in rounded]
    if not pairs:
        return f"nothing is compared: {line}"
    for part, tolerance in pairs:
        found = value(part, names)
        if found.shape != expected.shape or not np.allclose(found, expected, rtol=0, atol=tolerance, equal_nan=True):
            return f"{first.strip()} is {expected}, but {part.strip()} is {found}"
    return ""


def lines_of(section):
    blocks = re.findall(r"^```text\n(.*?)^```", SECTIONS[section], re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_every_section_has_numbers():
    assert list(NAMES) == HEADINGS


@pytest.mark.parametrize("section", NAMES)
def test_the_numbers_of_a_section_are_right(section):
    names, lines = NAMES[section](), lines_of(section)
    assert len(lines) >= 2
    assert [found for line in lines if (found := mistake(line, names))] == []


@pytest.mark.parametrize("section", NAMES)
def test_each_changed_digit_is_found(section):
    """The last digit of every line, made one larger, is a mistake."""
    names = NAMES[section]()
    for line in lines_of(section):
        changed = re.sub(r"\d(?=\D*$)", lambda digit: str((int(digit[0]) + 1) % 10), line)
        assert line.endswith("False") or mistake(changed, names), line


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("x[0] = 1 + 1 = 2", True),
        ("x[0] = 1 + 1 = 2.000001", False),
        ("x[0] = 1 + 2 = 2", False),
        ("x[1] = 2 / 3 ≈ 0.667", True),
        ("x[1] = 2 / 3 = 0.667", False),
        ("x[1] = 2 / 3 ≈ 0.666", False),
        ("x = [2, 2 / 3] ≈ [2.00, 0.67]", True),
        ("x = [2, 2 / 3] ≈ [2.00, 0.66]", False),
        ("x = 2", False),
        ("1e-11 * x[1] ≈ 6.7e-12", True),
        ("1e-11 * x[1] ≈ 6.6e-12", False),
        ("x[0]", False),
    ],
)
def test_a_wrong_number_is_found(line, right):
    assert (mistake(line, {"x": np.array([2, 2 / 3])}) == "") == right


def test_every_line_begins_with_a_result():
    """Otherwise the page would be compared with itself."""
    for section, names in NAMES.items():
        results = names().keys()
        for line in lines_of(section):
            first = ast.parse(re.split("[=≈]", line)[0].strip(), mode="eval")
            assert {node.id for node in ast.walk(first) if isinstance(node, ast.Name)} & results, line


def test_the_gradient_of_the_example_is_right():
    """The 18 numbers of "The stack of layers, and the fork" are the central differences of the example's loss."""
    params = example_params()
    numeric = numeric_gradient(lambda: example_loss(params), params)
    assert_gradient(backward()["g"], numeric)
