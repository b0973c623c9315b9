"""Refresh the links in gradients.md from each formula to its kernel, test and benchmark: `python docs/update_links.py`.

A line that begins with "Kernel:" or "Kernels:" names kernels in backquotes. It is rewritten with a link to the line of
each one's definition, and with links to the test file and the benchmark file of their module.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "gradients.md"


def definitions() -> dict[str, tuple[str, int]]:
    """Name of every function in kernels/ -> its module and the line of its `def`."""
    found = {}
    for path in sorted((ROOT / "kernels").glob("[a-z]*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                found[node.name] = (path.stem, node.lineno)
    return found


def with_links(page: str) -> str:
    """The page with its kernel lines rewritten.

    Raises:
        KeyError: A kernel is named that does not exist.
    """
    where = definitions()

    def rewrite(line: re.Match) -> str:
        names = re.findall(r"`(\w+)`", line[0])
        modules = list(dict.fromkeys(where[name][0] for name in names))
        kernels = ", ".join(f"[`{name}`](../kernels/{where[name][0]}.py#L{where[name][1]})" for name in names)
        tests = ", ".join(f"[test_{module}.py](../tests/kernels/test_{module}.py)" for module in modules)
        benchmarks = ", ".join(f"[bench_{module}.py](../bench/kernels/bench_{module}.py)" for module in modules)
        return f"Kernel{'s' * (len(names) > 1)}: {kernels} · test: {tests} · benchmark: {benchmarks}"

    return re.sub(r"^Kernels?: .*$", rewrite, page, flags=re.MULTILINE)


if __name__ == "__main__":
    PAGE.write_text(with_links(PAGE.read_text()))
