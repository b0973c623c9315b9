r"""Formulas of the book: LaTeX becomes MathML when the book is built, so that pages need no script and no network.

latex2mathml does the conversion. What it, or MathML Core in today's browsers, does not know is mended here: `\mathrm`
of one letter stays upright, `\mathbb{1}` is its Unicode character, `\tag` is printed beside the formula. A formula that
cannot be converted, or in which a command is left, is a warning, and the build turns warnings into errors.
"""

import importlib.util
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging

log = logging.getLogger(__name__)

TAG = re.compile(r"\\tag\{([^}]*)\}")
# \mathrm{d} is lost in the conversion: a letter of a private area keeps its place.
UPRIGHT = 0xE000
FUNCTIONS = {"log", "exp", "sin", "cos", "sinh", "cosh", "tanh", "det"}
NAMESPACE = "http://www.w3.org/1998/Math/MathML"
DELIMITERS = {"\\lvert": "|", "\\rvert": "|", "\\Vert": "‖", "\\lVert": "‖", "\\rVert": "‖", "~": "∼"}


def to_mathml(latex: str, block: bool) -> str:
    """One formula as a MathML element, with its LaTeX as the annotation.

    Args:
        latex: the formula, without dollars and without `\\tag`.
        block: whether it stands on lines of its own.

    Raises:
        ValueError: The converter does not know something in the formula.
    """
    prepared = re.sub(r"\\mathrm\{(\w)\}", lambda match: chr(UPRIGHT + ord(match[1])) + " ", latex)
    prepared = prepared.replace(r"\mathbb{1}", "𝟙 ").replace(r"\_", "_")
    try:
        root = ElementTree.fromstring(convert(prepared, display="block" if block else "inline"))
    except Exception as error:
        raise ValueError(f"{type(error).__name__} in the formula {latex!r}") from error
    for element in list(root.iter()):
        _mend(element)
        _space_functions(element)
        _sign(element)
        if "\\" in (element.text or ""):
            raise ValueError(f"{element.text!r} is unknown in the formula {latex!r}")
    root.set("alttext", " ".join(latex.split()))
    ElementTree.register_namespace("", NAMESPACE)
    return ElementTree.tostring(root, encoding="unicode")


def _mend(element: ElementTree.Element) -> None:
    """Replace in place what the converter writes and browsers do not draw as meant."""
    text = element.text or ""
    if element.tag.endswith("}mi") and len(text) == 1 and UPRIGHT <= ord(text) < UPRIGHT + 128:
        element.text = chr(ord(text) - UPRIGHT)
        element.set("mathvariant", "normal")
    elif text in DELIMITERS:
        element.text = DELIMITERS[text]
        if text == "~":
            element.tag = f"{{{NAMESPACE}}}mo"
    if element.tag.endswith("}mo") and element.text in ("|", "/"):
        element.attrib.update(stretchy="false", lspace="0", rspace="0")


def _sign(row: ElementTree.Element) -> None:
    """Mark in place each minus that is a sign and no difference: it stands first, or after an operator or a bracket."""
    before = None
    for child in row:
        first = before is None or (before.tag.endswith("}mo") and before.text not in (")", "]", "}", "|"))
        if child.tag.endswith("}mo") and child.text == "\u2212" and row.tag.endswith("}mrow") and first:
            child.set("form", "prefix")
            child.attrib.update(lspace="0", rspace="0")
        before = child


def _space_functions(row: ElementTree.Element) -> None:
    """Put a thin space in place between a function's name, like log, and a letter beside it, as LaTeX does."""
    for child in list(row):
        if row.tag.endswith("}mrow") and child.tag.endswith("}mi") and child.text in FUNCTIONS:
            index = list(row).index(child)
            for neighbour, place in ((index + 1, index + 1), (index - 1, index)):
                if 0 <= neighbour < len(row) and not row[neighbour].tag.endswith(("}mo", "}mspace")):
                    row.insert(place, ElementTree.Element(f"{{{NAMESPACE}}}mspace", {"width": "0.17em"}))


def _write(translator, node: nodes.math, latex: str, block: bool) -> None:
    tags = TAG.findall(latex)
    try:
        formula = to_mathml(TAG.sub("", latex), block)
    except ValueError as error:
        log.warning("%s", error, location=node)
        formula = ""
    if block:
        number = "".join(f'<span class="formula-number">({tag})</span>' for tag in tags)
        # The formula scrolls by itself where it is wider than the page, so that the page does not.
        body = f'<div class="formula" tabindex="0" role="group" aria-label="formula">{formula}{number}</div>'
        translator.body.append(body)
    else:
        following = node.next_node(descend=False, siblings=True)
        # A word joiner: browsers would break the line between a formula and the comma after it.
        joined = isinstance(following, nodes.Text) and following.astext()[:1] in tuple(",.;:)")
        translator.body.append(formula + "\u2060" * joined)
    raise nodes.SkipNode


def _inline(translator, node: nodes.math) -> None:
    _write(translator, node, node.astext(), block=False)


def _block(translator, node: nodes.math_block) -> None:
    _write(translator, node, node.astext(), block=True)


def _copy_font(app: Sphinx, error: Exception | None) -> None:
    """A font with the glyphs of formulas, from the installed package ziamath, for readers whose system has none."""
    if error is None:
        # The package is not imported: it would warn of its own imports.
        font = Path(importlib.util.find_spec("ziamath").origin).parent / "fonts" / "STIXTwoMath-Regular.ttf"
        shutil.copyfile(font, Path(app.outdir) / "_static" / "math.ttf")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer of formulas with Sphinx."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("config-inited", lambda app, config: setattr(config, "html_math_renderer", "mathml"))
    app.connect("build-finished", _copy_font)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
