"""The report: what it says, that it loads nothing, and what it looks like in a browser."""

import json
import re
from html import unescape

import numpy as np
import pytest
from browser import console, overflow, probed
from commands import run
from report_runs import UPDATES, make_run, six_runs

from ppo_np.logs.filenames import CONFIG, EVALUATIONS, METRICS
from ppo_np.report import main
from ppo_np.reporting.chart import Chart, Series, short_number, ticks
from ppo_np.reporting.groups import Group, Run
from ppo_np.reporting.report_page import page
from ppo_np.running import cli


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The file of a report about six runs, two settings with three seeds each."""
    folder = tmp_path_factory.mktemp("report")
    assert run(main, six_runs(folder / "runs"), "--out", folder / "report.html") == 0
    return folder / "report.html"


def charts_of(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_the_page_has_every_part_and_loads_nothing(report):
    text = report.read_text()
    assert len(text) < 500_000
    for heading in (
        "Settings",
        "Learning",
        "Evaluations",
        "Losses, lengths and speed",
        "Time by part",
        "Film",
        "Commands",
    ):
        assert f"<h2>{heading}</h2>" in text
    charts = charts_of(text)
    assert len(charts) == 13
    assert text.count("<figure") == 13 + 1
    assert text.count("<details>") == 13 + 1  # a table behind each picture
    assert text.count('src="data:video/mp4;base64,ZmlsbQ=="') == 1
    assert not re.search(r"https?://|\b(href)=|url\(|@import|fetch\(|import\(", text)
    assert "default-src 'none'" in text
    assert text.count("python -m ppo_np.train --preset cartpole") == 6
    assert "--learning-rate 0.003 --seed 2" in text or "--seed 2 --learning-rate 0.003" in text


def test_the_numbers_of_the_curves_are_those_of_the_runs(report):
    charts = charts_of(report.read_text())
    first, second = charts["return-steps"]["lines"]
    assert (first["letter"], second["letter"]) == ("A", "B")
    assert (first["x"][0], first["x"][-1]) == (256, 256 * UPDATES)
    whole = 10 + np.arange(1, UPDATES + 1).mean()
    assert first["mean"][-1] == pytest.approx(whole + 2)
    assert (first["low"][-1], first["high"][-1]) == (pytest.approx(whole + 1), pytest.approx(whole + 3))
    assert charts["return-seconds"]["lines"][0]["x"][-1] == UPDATES
    evaluations = charts["evaluations"]["lines"][0]
    assert evaluations["x"] == [2560, 5120, 7680, 10240]
    assert (evaluations["mean"], evaluations["low"]) == ([112, 122, 132, 142], [111, 121, 131, 141])


def test_the_tables_have_the_settings_times_and_intervals(report):
    text = unescape(re.sub(r"<[^>]+>", "|", report.read_text()))
    cells = re.sub(r"\|+", "|", text)
    assert "Different between the runs: learning_rate." in cells
    assert "|learning_rate|0.002|0.001|0.003|" in cells
    assert "|10.0 s (25%)|5.0 s (12%)|20.0 s (50%)|5.0 s (12%)|40.0 s|" in cells
    half = 2.7764451 * 4 / np.sqrt(4)  # t(0.975, 4), 5 episodes
    assert f"|A  1e-3-1|10,240|5|141|{141 - half:.5g} to {141 + half:.5g}|90|110|141|" in cells
    half = 4.3026527 * 1 / np.sqrt(3)  # t(0.975, 2) * std(ddof 1) / sqrt(3 runs)
    assert f"|A  mean of 3 runs|142|{142 - half:.5g} to {142 + half:.5g}|" in cells


def test_a_film_that_is_too_large_is_named(tmp_path, capsys):
    folder = make_run(tmp_path / "run", film=b"x" * 3000)
    assert run(main, folder, "--out", tmp_path / "r.html", "--film-limit", "0.001") == 0
    text = (tmp_path / "r.html").read_text()
    assert "episode-3.mp4 is not in this page: it has 0.0 MB, and a report takes in at most 0.001 MB" in text
    assert "<video" not in text
    assert capsys.readouterr().out == f"{tmp_path / 'r.html'}\n"


def test_a_run_without_episodes_evaluations_and_rows_has_a_report(tmp_path):
    folder = make_run(tmp_path / "run", updates=0)
    assert run(main, folder, "--out", tmp_path / "r.html") == 0
    text = (tmp_path / "r.html").read_text()
    assert charts_of(text) == {}
    assert "These runs have no evaluations" in text
    assert "These runs have no times yet." in text


ODD = ("inf", "-inf", "nan", "x", "", "1e308", "-1", "\0", "1e-320", "²")


def test_odd_fields_end_no_report(tmp_path):
    folder = make_run(tmp_path / "run", updates=12, evaluations=4)
    for name in (METRICS, EVALUATIONS):
        head, *rows = (folder / name).read_text().splitlines()
        cells = [row.split(",") for row in rows]
        for i, row in enumerate(cells):
            for k in range(len(row)):
                if (i + k) % 3 == 0:
                    row[k] = ODD[(i + 5 * k) % len(ODD)]
        (folder / name).write_text("\n".join([head, *map(",".join, cells)]) + "\n")
    document = json.loads((folder / CONFIG).read_text())
    document |= {"resumed": 5, "versions": [], "options": "x", "blas_threads": None}
    (folder / CONFIG).write_text(json.dumps(document))
    with np.errstate(all="ignore"):
        assert run(main, folder, "--out", tmp_path / "r.html") == 0
    assert "Return of an episode" in (tmp_path / "r.html").read_text()


def test_names_cannot_become_markup_and_own_columns_are_drawn(tmp_path):
    evil = "<script>alert(1)<!--@data@"
    folder = make_run(tmp_path / "runs" / "<b>&@runs@", columns=["success<i>"])
    assert run(main, folder, "--label", evil, "--out", tmp_path / "r.html") == 0
    text = (tmp_path / "r.html").read_text()
    assert text.count("<script") == 2
    assert "&lt;script&gt;alert(1)&lt;!--@data@" in text
    assert "A  &lt;b&gt;&amp;@runs@" in text
    assert "<b>success&lt;i&gt;</b>" in text


def test_many_groups_stay_small(tmp_path):
    whole = Run.read(make_run(tmp_path / "run", evaluations=4))
    groups = [Group(i, f"run {i}", [whole]) for i in range(12)]
    assert len(page(groups, 100, None)) < 400_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "RUN is [], but it must be one run folder or more"),
        (["{}/nope"], "must be a run folder with a readable config.json"),
        (["{}/good", "--window", "0"], "window is 0"),
        (["{}/good", "--label", "a", "b"], "label is ['a', 'b'], but it must be one name for each RUN, so 1"),
        (["{}/good", "--out", "{}/x.pdf"], "must be a file that ends in .html"),
        (["{}/good", "--out", "{}/no/x.html"], "must be in a folder that exists"),
        (["{}/good", "--out", "{}/folder.html"], "must be a file, not a folder"),
        (["{}/good", "--out", "{}/" + 300 * "x" + ".html"], "cannot be written: File name too long."),
        (["{}/good", "--film", "{}/x.avi"], "must be a file that ends in .mp4 or .webm or .gif"),
        (["{}/good", "--film-limit", "-1"], "film_limit is -1"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, capsys, arguments, message):
    make_run(tmp_path / "good")
    (tmp_path / "folder.html").mkdir()
    assert run(main, *(argument.format(tmp_path) for argument in arguments)) == cli.BAD_ARGUMENTS
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert [path.name for path in tmp_path.glob("*.html")] == ["folder.html"]


def series(x, mean, whole=None, **options):
    x, mean = np.array(x, float), np.array(mean, float)
    nothing = np.full(len(x), np.nan)
    whole = np.full(len(x), True) if whole is None else np.array(whole)
    return Series(0, "A", x, mean, nothing, nothing, whole, **options)


def test_the_path_of_a_line():
    text = Chart("name", "Title", "", "steps", [series([0, 1, 2, 3, 4], [0, 2, np.nan, 4, 4])]).html()
    assert '<path class="line c0" d="M0.0 963.0L250.0 500.0M750.0 37.0L1000.0 37.0"/>' in text
    assert "A begins at 0, is at most 4 and ends at 4" in text


def test_a_line_is_dashed_where_only_some_runs_have_data():
    text = Chart("name", "Title", "", "steps", [series([0, 1, 2, 3], [0, 0, 0, 1], [True, True, False, False])]).html()
    solid, dashed = re.findall(r'class="line c0( some)?" d="([^"]+)"', text)
    assert (solid[0], solid[1].count(" ")) == ("", 3)
    assert (dashed[0], dashed[1].count(" ")) == (" some", 2)


def test_a_constant_and_a_single_point_can_be_drawn():
    text = Chart("name", "Title", "", "steps", [series([5], [7])]).html()
    assert '<path class="dots c0" d="M1000.0 500.0h0"/>' in text
    assert (
        '<path class="line c0" d="M0.0 500.0L1000.0 500.0"/>'
        in Chart("name", "Title", "", "steps", [series([0, 1], [0, 0])]).html()
    )


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0, 60_000, ["0", "20k", "40k", "60k"]),
        (0, 2_000_000, ["0", "500k", "1M", "1.5M", "2M"]),
        (-0.02, 0.001, ["-0.020", "-0.015", "-0.010", "-0.005", "0.000"]),
        (0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (95, 510, ["100", "200", "300", "400", "500"]),
        (0, 3e-4, ["0", "0.0001", "0.0002", "0.0003"]),
    ],
)
def test_ticks_are_round_numbers(low, high, texts):
    found = ticks(low, high)
    assert [text for text, _ in found] == texts
    assert all(-1e-9 <= share <= 1 + 1e-9 for _, share in found)


def test_a_thousand_is_written_short():
    assert [short_number(1500, 500), short_number(1234, 1), short_number(0, 1000)] == ["1.5k", "1234", "0"]


HOVER = """
const plot = page.getElementById("return-steps").querySelector(".plot"), tip = plot.querySelector(".tip");
const box = plot.querySelector(".area").getBoundingClientRect(), frame = plot.getBoundingClientRect();
const point = (kind, share) => plot.dispatchEvent(
    new view.PointerEvent(kind, {clientX: box.left + share * box.width, clientY: box.top + 20, bubbles: true}));
const inside = () => {
    const {left, right} = tip.getBoundingClientRect();
    return left >= frame.left - 1 && right <= frame.right + 1;
};
found.before = tip.hidden;
point("pointermove", 1);
found.end = tip.textContent;
found.inside = [inside()];
point("pointermove", 0);
found.inside.push(inside());
point("pointerleave", 0);
found.after = tip.hidden;
const key = (key) => plot.dispatchEvent(new view.KeyboardEvent("keydown", {key, bubbles: true}));
key("End");
found.key = tip.textContent;
key("ArrowLeft");
found.left = tip.textContent;
key("Escape");
found.escaped = tip.hidden;
found.drawn = [...page.querySelectorAll("path.line")].filter((path) => path.getTotalLength() > 500).length;
found.background = view.getComputedStyle(page.body).backgroundColor;
found.text = view.getComputedStyle(page.body).color;
"""


@pytest.mark.browser
@pytest.mark.parametrize(("width", "flags"), [(400, ()), (1200, ("--force-dark-mode",))])
def test_the_page_in_a_browser(report, tmp_path, width, flags):
    found = probed(report, HOVER, tmp_path, width, *flags)
    whole = 10 + np.arange(1, UPDATES + 1).mean()
    number = [f"{whole + k:g} ({whole + k - 1:g} to {whole + k + 1:g})" for k in (2, 2)]
    assert found["end"] == f"10,240 steps\nA {number[0]}\nB {number[1]}"
    assert found["key"] == found["end"] != found["left"]
    assert found["left"].startswith("10,035 steps\nA ")
    assert (found["before"], found["after"], found["escaped"]) == (True, True, True)
    assert found["inside"] == [True, True]
    assert found["drawn"] == 2 * 13
    dark = bool(flags)
    assert found["background"] == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")
    assert found["text"] == ("rgb(228, 232, 237)" if dark else "rgb(27, 31, 36)")


@pytest.mark.browser
def test_no_window_scrolls_sideways(report, tmp_path):
    widths = 320, 400, 1400
    assert overflow(report, widths, tmp_path) == dict.fromkeys(widths, 0)


@pytest.mark.browser
def test_the_console_has_no_errors(report, tmp_path):
    assert console(report) == []
    broken = tmp_path / "broken.html"
    broken.write_text(report.read_text().replace('"use strict";', '"use strict"; nothing.at.all;'))
    (line,) = console(broken)
    assert "nothing is not defined" in line
