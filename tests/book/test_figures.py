"""The pictures of the docs: drawn by a script or a named command, told in words, with tables that are up to date."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# Pictures of results, drawn by commands that train or measure for long: the page that names the command.
OF_RESULTS = {
    "images/end_to_end.png": ("bench.contests.end_to_end", "benchmarks.md"),
    "images/explain.png": ("ppo_np.explain", "explain.md"),
    "images/landing.gif": ("ppo_np.evaluate", "article.md"),
    "images/learning_curves.png": ("ppo_np.plot", "article.md"),
    "images/pendulum.png": ("bench.contests.pendulum", "benchmarks.md"),
    "images/report.png": ("ppo_np.report", "reports.md"),
    "images/scaling.png": ("bench.contests.start", "benchmarks.md"),
    "images/taxi_masks.png": ("ppo_np.plot", "environments.md"),
    "images/solve.png": ("bench.contests.solve", "benchmarks.md"),
}
IMAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("images/*.*"))
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("course/*.md"))]
SHOWN = [
    (page, text, (page.parent / target).resolve())
    for page in PAGES
    for text, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text())
]


def scripts_of(image, folder=DOCS / "figures"):
    """The scripts in docs/figures that draw an image: NAME.py draws NAME.svg, or the script names the file."""
    path = Path(image)
    return [script for script in folder.rglob("*.py") if script.stem == path.stem or path.name in script.read_text()]


@pytest.mark.parametrize("image", [image for image in IMAGES if image not in OF_RESULTS])
def test_every_picture_has_a_script_that_draws_it(image):
    assert scripts_of(image)


@pytest.mark.parametrize("image", OF_RESULTS)
def test_a_picture_of_results_has_a_command_on_a_page(image):
    command, page = OF_RESULTS[image]
    assert image in IMAGES
    assert command in (DOCS / page).read_text()


def test_a_picture_without_a_script_is_noticed(tmp_path):
    (tmp_path / "curve.py").write_text("save('slope.png')")
    assert [path.name for path in scripts_of("images/curve.svg", tmp_path)] == ["curve.py"]
    assert [path.name for path in scripts_of("images/slope.png", tmp_path)] == ["curve.py"]
    assert scripts_of("images/other.svg", tmp_path) == []


@pytest.mark.parametrize("image", IMAGES)
def test_every_picture_is_shown_on_a_page_and_is_small(image):
    assert DOCS / image in [path for _, _, path in SHOWN]
    assert (DOCS / image).stat().st_size < (2_000_000 if image.endswith(".gif") else 400_000)


@pytest.mark.parametrize(("page", "text", "path"), SHOWN, ids=lambda value: getattr(value, "name", None))
def test_every_picture_is_told_in_words(page, text, path):
    assert len(text.split()) >= 4, "the text in brackets is what a screen reader says"


@pytest.fixture
def draw():
    pytest.importorskip("matplotlib")
    from docs.figures import draw

    return draw


def test_the_tables_of_the_pictures_are_up_to_date(draw):
    page = draw.PAGE.read_text()
    assert draw.with_tables(page) == page, "run `python -m docs.figures.draw`"


def test_a_page_without_a_place_for_a_table_is_refused(draw):
    with pytest.raises(ValueError, match="0 places for the table of surrogate"):
        draw.with_tables("# Pictures\n", ("surrogate",))


def test_a_figure_is_the_same_file_each_time(draw, tmp_path):
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        draw.draw(("value_clip",), tmp_path / folder)
    first, second = ((tmp_path / folder / "value_clip.svg").read_bytes() for folder in ("first", "second"))
    assert first == second
    assert b"<svg" in first


def test_every_section_of_pictures_has_a_picture_its_words_and_its_table(draw):
    sections = re.split(r"^## .+$", draw.PAGE.read_text(), flags=re.MULTILINE)[1:]
    assert len(sections) == len(draw.NAMES)
    for section, name in zip(sections, draw.NAMES, strict=True):
        assert f"](images/{name}.svg)" in section
        assert "\nIn words: " in section
        assert f"<!-- table: {name} -->" in section
