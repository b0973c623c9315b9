"""The pages of the lessons: in docs/course of a clone, or a copy in the installed package.

For a terminal, the LaTeX of a formula becomes one line of Unicode, \\frac{a}{b} as a/b.
"""

import re
from collections.abc import Callable
from pathlib import Path

from ppo_np.course.lesson import Lesson
from ppo_np.errors import UserError

PLACES = (Path(__file__).parents[2] / "docs" / "course", Path(__file__).parent / "pages")

# Marks that are put between parts while a formula is read, and become a space or nothing at its end:
SEPARATE = "\ue000"  # a space between two letters or digits
AFTER_FRACTION = "\ue001"  # a space before "(" too: 1/B (x + y)
JOIN = "\ue002"  # no space: the d of a derivative
OPEN, CLOSE = "\ue003", "\ue004"  # the bars of an absolute value

SYMBOLS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "lambda": "λ", "mu": "μ", "xi": "ξ", "pi": "π",
    "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "omega": "ω", "Delta": "Δ", "ell": "ℓ", "partial": "∂",
    "infty": "∞", "top": "ᵀ", "cdot": "·", "pm": "±", "odot": "⊙",
    "times": "×", "dots": "…", "ldots": "…", "cdots": "…", "le": "≤", "ge": "≥", "ne": "≠", "approx": "≈", "in": "∈",
    "leftarrow": "←", "to": "→", "mid": "|", "lvert": OPEN, "rvert": CLOSE, "Vert": "‖", "lVert": "‖", "rVert": "‖",
    "lfloor": "⌊", "rfloor": "⌋", "_": "_", "{": "{", "}": "}", "%": "%", "$": "$", "&": "&", "#": "#",
}  # fmt: skip
SPACES = {",": " ", ";": " ", ":": " ", " ": " ", "!": "", "quad": "  ", "qquad": "  "}
NOTHING = {"big", "Big", "bigg", "Bigg", "left", "right", "textstyle", "displaystyle", "limits"}
LARGE = {"sum": "Σ", "prod": "Π", "int": "∫"}
ACCENTS = {"bar": "\u0304", "hat": "\u0302", "tilde": "\u0303"}
FONTS = {"text", "mathrm", "mathbb", "mathbf", "mathit", "operatorname", "mathcal"}
RAISED = str.maketrans("0123456789+-in()", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁱⁿ⁽⁾")
FRACTIONS = {"1/2": "½", "1/3": "⅓", "1/4": "¼", "3/4": "¾", "1/6": "⅙", "1/8": "⅛", "2/3": "⅔"}

TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|\s+|.", re.DOTALL)


def page_of(lesson: Lesson) -> Path:
    """The Markdown file. Raises UserError if it is not there."""
    for folder in PLACES:
        page = folder / f"{lesson.name}.md"
        if page.is_file():
            return page
    raise UserError(f"The page of lesson {lesson.number} is not on this machine.")


def plain_page(markdown: str) -> str:
    """A page in Markdown without LaTeX: formulas in the text as Unicode, those on their own as blocks of code.

    Links to other files become their text.
    """
    markdown = re.sub(r"!\[([^\]]*)\]", lambda match: f"![{' '.join(match[1].split())}]", markdown)
    markdown = re.sub(r"(?<!!)\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", markdown)  # its target is not at hand
    formulas = re.compile(r"(```.*?```|`[^`]*`)|^( *)\$\$(.+?)\$\$|\$([^$]+)\$", re.DOTALL | re.MULTILINE)
    return formulas.sub(_replaced, markdown)


def _replaced(match: "re.Match[str]") -> str:
    code, indent, alone, inside = match.groups()
    if code:
        return code
    if alone:
        lines = [plain_formula(part) for part in re.split(r"\\qquad(?!\s*\\text)", alone)]
        return "\n".join(f"{indent}{line}" for line in ["```text", *(f"    {line}" for line in lines), "```"])
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", plain_formula(inside))  # Markdown must take each sign as it is


def plain_formula(latex: str) -> str:
    """A formula in LaTeX as one line of Unicode. A command that is not known, such as \\log, is written as its name."""
    return _finished(_Reader(latex).until(""))


def _finished(text: str) -> str:
    """The text with spaces or nothing in place of the marks."""
    marks = f"[{SEPARATE}{AFTER_FRACTION}]"
    text = re.sub(rf"(?<=[\w)|'\u0302\u0304]){marks}+(?=[^\W_⁰¹²³⁴-⁹ⁱⁿ]|[√∂{OPEN}])", " ", text)
    text = re.sub(rf"{AFTER_FRACTION}(?=\()", " ", text)
    text = re.sub(rf"{OPEN}\s*|\s*{CLOSE}", "|", re.sub(rf"{marks}|{JOIN}", "", text))
    return " ".join(text.replace("∂ ", "∂").split())


class _Reader:
    """Reads a formula from left to right. Groups, fractions and roots are read by calling itself."""

    def __init__(self, latex: str):
        self.tokens = TOKEN.findall(latex)
        self.at = 0

    def until(self, end: str) -> str:
        """The text up to the token `end`, which is read too; everything for ""."""
        parts = []
        while self.at < len(self.tokens):
            token = self.next()
            if token == end:
                break
            parts.append(self.part(token))
        return "".join(parts)

    def next(self) -> str:
        """The next token; "" at the end."""
        token = self.tokens[self.at] if self.at < len(self.tokens) else ""
        self.at += 1
        return token

    def argument(self) -> str:
        """The next group in braces, or the next token alone."""
        token = self.next()
        while token.isspace():
            token = self.next()
        return self.until("}") if token == "{" else self.part(token) if token else ""

    def part(self, token: str) -> str:
        """A token and the arguments that belong to it."""
        if token == "{":
            return self.until("}")
        if token in ("^", "_"):
            return self.script(token)
        if token.startswith("\\"):
            return self.command(token[1:])
        return " " if token.isspace() else token

    def script(self, token: str) -> str:
        """An index or a power."""
        text = _finished(self.argument())
        if token == "^" and re.fullmatch(r"[-+]?\d+|[inᵀ]", text):
            return text.translate(RAISED) + SEPARATE
        return (f"{token}{text}" if re.fullmatch(r"[^\W_]+|.|\([^()]*\)", text) else f"{token}({text})") + SEPARATE

    def command(self, name: str) -> str:
        """A command with its arguments."""
        if name in ("frac", "tfrac", "dfrac"):
            return self.fraction()
        special: dict[str, Callable[[], str]] = {
            "sqrt": lambda: f"√{_grouped(self.argument())}", "underbrace": self.underbrace,
            "begin": self.matrix,
        }  # fmt: skip
        if name in special:
            return special[name]()
        if name in FONTS:
            text = self.argument()
            return f"{SEPARATE}{text}{SEPARATE}" if len(text.strip()) > 1 else text + JOIN
        if name in ACCENTS:
            return f"{self.argument()}{ACCENTS[name]}"
        if name in NOTHING:
            return ""
        if name in SPACES:
            return SPACES[name]
        return SYMBOLS.get(name) or f"{SEPARATE}{LARGE.get(name, name)}{SEPARATE}"

    def fraction(self) -> str:
        """a/b, with parentheses where they are needed."""
        above, below = self.argument(), self.argument()
        text = f"{_grouped(above)}/{_grouped(below, divides=True)}"
        return f"{SEPARATE}{FRACTIONS.get(text, text)}{AFTER_FRACTION}"

    def underbrace(self) -> str:
        """What stands above the brace, and in brackets what stands below."""
        above = self.argument()
        below = self.argument() if self.next() == "_" else ""
        return f"{above} [{below}]"

    def matrix(self) -> str:
        """A matrix, row by row: (a, b; c, d)."""
        self.argument()
        rows: list[list[str]] = [[""]]
        while (token := self.next()) not in ("\\end", ""):
            if token == "&":
                rows[-1].append("")
            elif token in ("\\\\", "\\cr"):
                rows.append([""])
            else:
                rows[-1][-1] += self.part(token)
        self.argument()
        return f"({'; '.join(', '.join(cell.strip() for cell in row) for row in rows)})"


def _grouped(text: str, divides: bool = False) -> str:
    """The text, in parentheses unless it is one factor; 2h is one above a line, but not below."""
    text = _finished(text)
    one = re.fullmatch(r"[\w′'.^…∂⁰¹²³⁴-⁹⁻ᵀ\u0302\u0304]+(\([^()]*\))?|\|\w+\||∂log \w+", text)
    product = divides and re.match(r"\d+[^\W\d]", text)
    return text if one and not product else f"({text})"
