"""The book: broken links and things from the network are found, code blocks are told apart, lessons are listed."""

import importlib
import re
from pathlib import Path

import pytest

from docs.book import blocks, lessons, offline

ROOT = Path(__file__).parents[2]


def book(folder, **pages):
    """A small built site; each page is given as HTML."""
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text)
    offline.read.cache_clear()
    return offline.problems(folder)


def test_a_book_with_working_links_has_no_problem(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    one = '<p id="top"><a href="two.html#there">x</a><a href="#top">x</a><a href="https://example.org">x</a>'
    assert book(tmp_path, one=one, two='<h1 id="there">x</h1><img src="a.png"><a href="one.html#rate=0.1">x</a>') == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('<a href="three.html">x</a>', "one.html: three.html leads nowhere"),
        ('<img src="images/none.png">', "one.html: images/none.png leads nowhere"),
        ('<a href="two.html#gone">x</a>', "one.html: two.html#gone: the page has no such anchor"),
        ('<a href="#gone">x</a>', "one.html: #gone: the page has no such anchor"),
        (
            '<script src="https://cdn.example.org/katex.js"></script>',
            "one.html: loads https://cdn.example.org/katex.js",
        ),
        ("<style>@import '//fonts.example.org/a.css'</style>", "one.html: loads //fonts.example.org/a.css"),
    ],
)
def test_what_is_wrong_in_a_book_is_found(tmp_path, text, problem):
    assert problem in book(tmp_path, one=text, two="<p>x</p>")


def test_a_font_from_the_network_is_found(tmp_path):
    (tmp_path / "book.css").write_text('@font-face { src: url("https://fonts.example.org/a.woff2"); }')
    assert book(tmp_path, one="<p>x</p>") == ["book.css: loads https://fonts.example.org/a.woff2"]


PAGE = """# Title

```sh
pip install . && NUMBA_DISABLE_JIT=1 pytest tests/{kernels,gradients}   # both
python -m ppo_np.train --total-timesteps 2000000
```

<!-- not run: it needs a cluster -->

```python
PPOConfig(total_timesteps=1_000_000)
```

```mermaid
flowchart TD
```
"""


def test_blocks_are_found_with_their_lines_languages_and_reasons():
    found = [(block.line, block.language, block.reason) for block in blocks.blocks(PAGE)]
    assert found == [(3, "sh", ""), (10, "python", "it needs a cluster"), (14, "mermaid", "")]


def test_commands_are_split_as_a_shell_does_it():
    first, second, third = blocks.commands(next(blocks.blocks(PAGE)).code)
    assert first == ["pip", "install", "."]
    assert second == ["pytest", "tests/{kernels,gradients}"]
    assert blocks.expanded(second[1]) == ["tests/kernels", "tests/gradients"]
    assert blocks.shortened(third)[-1] == "512"
    assert blocks.short_code("PPOConfig(total_timesteps=1_000_000)") == "PPOConfig(total_timesteps=512)"


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("python -m ppo_np.nothing", "there is no module ppo_np.nothing"),
        ("pytest tests/nothing.py", "there is no tests/nothing.py"),
        ("pytest tests/{kernels,nothing}", "there is no tests/nothing"),
        ("python tests/durability/fuzz/run.py --everything", "tests/durability/fuzz/run.py has no option --everything"),
        ("python tests/durability/fuzz/run.py --seed 3", ""),
        ("pip install .", ""),
    ],
)
def test_a_command_that_is_not_run_is_checked(command, problem):
    assert blocks.check(command.split()) == problem


def test_a_command_that_fails_is_told_with_its_page_and_line(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n```python\nimport nothing_of_this_name\n```\n")
    tally = blocks.Tally()
    blocks.do_page(page, tally)
    (problem,) = tally.problems
    assert problem.startswith("page.md:3: exit code 1")
    assert "nothing_of_this_name" in problem


def test_a_command_without_an_example_that_is_run_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "commands_of_ppo_np", lambda: {"train": "", "course": "", "tune": ""})
    seen = {"python -m ppo_np.train --env-id CartPole-v1", "python -m ppo_np.course start my_course"}
    assert blocks.without_example(seen) == ["no page has an example of python -m ppo_np.tune that is run"]


@pytest.mark.parametrize(
    ("command", "run"),
    [
        ("python -m ppo_np.course start my_course", True),
        ("python -m ppo_np.course check", False),
        ("python -m ppo_np.train --ranks 2", False),
        ("python -m ppo_np.replay runs/none/crash.h5", False),
        ("python -m ppo_np.gradcheck", True),
        ("python -m bench.predict", False),
    ],
)
def test_which_commands_are_run(tmp_path, monkeypatch, command, run):
    monkeypatch.setattr(blocks, "execute", lambda words, folder: "was run")
    monkeypatch.setattr(blocks, "check", lambda words: "was checked")
    assert blocks.do_command(command.split(), tmp_path, blocks.Tally()) == ("was run" if run else "was checked")


def test_blocks_of_a_page_can_import_files_that_it_shows(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("```python\n# shown.py\nx = 3\n```\n\n```python\nimport shown\n\nassert shown.x == 3\n```\n")
    tally = blocks.Tally()
    blocks.do_page(page, tally)
    assert tally.problems == []
    assert tally.run == 2


def test_every_block_of_the_docs_has_a_language():
    for page in blocks.pages():
        fences = re.findall(r"^ *```(\w*)$", page.read_text(), re.MULTILINE)
        assert all(fences[::2]), page.name
        assert not any(fences[1::2]), page.name


def test_the_table_of_lessons_is_up_to_date():
    index = lessons.COURSE / "index.md"
    assert lessons.with_table(index.read_text()) == index.read_text(), "run `python -m docs.book.lessons`"


def test_a_lesson_has_its_number_title_and_question(tmp_path):
    page = tmp_path / "lesson03_linear.md"
    page.write_text("# Lesson 3: A linear layer\n\nText.\n")
    (tmp_path / "lesson03_linear.toml").write_text('question = "What touches what?"\n')
    assert lessons.row(page, tmp_path) == "| 3 | [A linear layer](lesson03_linear.md) | What touches what? |\n"
    (tmp_path / "lesson03_linear.toml").write_text("extra = true\n")
    assert lessons.row(page, tmp_path) == "| 3 | [A linear layer](lesson03_linear.md) (extra) |  |\n"
    page.write_text("Text.\n")
    with pytest.raises(ValueError, match=r"lesson03_linear\.md has no heading"):
        lessons.row(page, tmp_path)


@pytest.fixture
def part():
    """A module of docs/book that needs the extra docs."""
    pytest.importorskip("sphinx", reason="the extra docs is not installed")
    return lambda name: importlib.import_module(f"docs.book.{name}")


def test_formulas_become_mathml(part):
    mathml = part("formulas").to_mathml(r"\mathrm{d}x_b = \mathbb{1}[x > 0] \sim \text{approx\_kl}", block=True)
    assert '<mi mathvariant="normal">d</mi>' in mathml
    assert all(text in mathml for text in ("𝟙", "∼", "approx_kl", 'display="block"'))


def test_a_minus_is_a_sign_after_a_bracket_and_a_difference_after_a_letter(part):
    mathml = part("formulas").to_mathml(r"(-a - b)", block=False)
    assert re.findall(r"<mo([^>]*)>−</mo>", mathml) == [' form="prefix" lspace="0" rspace="0"', ""]


def test_a_formula_that_is_not_known_is_refused(part):
    with pytest.raises(ValueError, match="nonsense"):
        part("formulas").to_mathml(r"\nonsense{x}", block=False)


def test_links_to_files_of_the_repository_are_marked_and_links_to_pages_are_not(part):
    page = ROOT / "docs" / "page.md"
    marked = part("sources").marked
    assert marked("[`a`](../kernels/loss.py#L3)", page, ROOT / "docs") == "[`a`](repo:kernels/loss.py#L3)"
    for same in ("[a](gradients.md#x)", "![a](images/x.png)", "```\n[a](../setup.py)\n```", "[a](https://x.org/a)"):
        assert marked(same, page, ROOT / "docs") == same


@pytest.mark.parametrize(("anchor", "works"), [("", True), ("L1", True), ("L99999", False), ("top", False)])
def test_a_link_to_a_line_that_does_not_exist_is_a_problem(part, anchor, works):
    assert (part("sources").link_problem("kernels/loss.py", anchor) == "") is works


def test_a_flowchart_becomes_a_table_of_its_arrows(part):
    table = part("pages").flowchart_table('    a["<b>a</b><br/>one, two"]\n    b["<b>b</b><br/>three"]\n    a --> b\n')
    assert "<tr><th>a</th><td>one, two</td><td>b</td></tr>" in table
    assert "<tr><th>b</th><td>three</td><td>nothing</td></tr>" in table


def test_every_page_is_in_the_navigation(part):
    chapters = [name for entries in part("pages").CHAPTERS.values() for name in entries]
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    assert {name for name in chapters if "/" not in name} == pages
