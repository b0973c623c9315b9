"""The map formula <-> kernel <-> test <-> benchmark has no hole, and no link of the docs dangles."""

import importlib.util
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "gradients.md").read_text()
HEADINGS = re.findall(r"^## \d+\. (.+)$", PAGE, re.MULTILINE)
SECTIONS = dict(zip(HEADINGS, re.split(r"^## .+$", PAGE, flags=re.MULTILINE)[1:], strict=True))


def update_links():
    spec = importlib.util.spec_from_file_location("update_links", ROOT / "docs" / "update_links.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DEFINITIONS = update_links().definitions()
KERNELS = [name for name in DEFINITIONS if not name.startswith("_") and name not in ("activation_number", "kernel")]


def module_of(name):
    return DEFINITIONS[name][0]


def python_function(name):
    kernel = getattr(importlib.import_module(f"kernels.{module_of(name)}"), name)
    return getattr(kernel, "py_func", kernel)


def test_there_are_kernels():
    assert len(KERNELS) >= 30
    assert {"gae", "ppo_loss_backward", "mlp_backward", "adam", "gaussian_backward"} <= set(KERNELS)


@pytest.mark.parametrize("name", KERNELS)
def test_docstring_has_equation_shapes_and_section(name):
    text = inspect.getdoc(python_function(name))
    before, arguments = text.split("\nArgs:\n")
    assert re.search(r"(=|<-)", before), "no equation"
    shapes = re.findall(r"\([A-Z][A-Za-z_+0-9, ()]*\)", arguments)
    assert shapes, "no shapes"
    for parameter in inspect.signature(python_function(name)).parameters:
        assert re.search(rf"\b{parameter}\b", arguments) or "..." in arguments, f"{parameter} is not documented"
    (line,) = re.findall(r"^Derivation: docs/gradients.md, (.+)$", text, re.MULTILINE)
    for section in re.findall(r'"(.+?)"', line):
        assert section in SECTIONS, section
        assert f"[`{name}`]" in SECTIONS[section], f"{section} does not link {name}"


@pytest.mark.parametrize("folder", ["tests/kernels/test_", "bench/kernels/bench_"])
@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_has_its_test_and_its_benchmark(name, folder):
    text = (ROOT / f"{folder}{module_of(name)}.py").read_text()
    imported, used = (text.count(name) - len(re.findall(rf"\w{name}|{name}\w", text)) >= count for count in (1, 2))
    assert imported, "not imported"
    assert used, "imported, but not used"


def test_every_section_but_the_introductory_ones_names_its_kernels():
    without = [heading for heading, text in SECTIONS.items() if "\nKernel" not in text]
    assert without == [
        "Finite differences and the chain rule",
        "Policy gradient",
        "Baseline and advantage",
        "Importance sampling and the ratio",
    ]


def test_the_links_to_lines_are_up_to_date():
    assert update_links().with_links(PAGE) == PAGE, "run `python docs/update_links.py`"


def anchors(path):
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "page", ["README.md", "CHANGELOG.md", *(f"docs/{path.name}" for path in ROOT.glob("docs/*.md"))]
)
def test_no_link_of_a_page_dangles(page):
    path = ROOT / page
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", path.read_text()):
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), target
        if anchor and linked.suffix == ".md":
            assert anchor in anchors(linked), target
        if anchor and linked.suffix == ".py":
            assert int(anchor.removeprefix("L")) <= linked.read_text().count("\n"), target
