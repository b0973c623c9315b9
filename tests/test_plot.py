"""The plot command: grouped runs, smoothed curves, one picture."""

import json
from types import SimpleNamespace

import matplotlib.colors
import matplotlib.image
import numpy as np
import pytest
from commands import run

from ppo_np import PPOConfig
from ppo_np.logs.filenames import CONFIG, METRICS
from ppo_np.plot import PlotOptions, draw, main
from ppo_np.reporting.curves import mean_and_band, read_curve, run_label
from ppo_np.running import cli


def make_run(folder, rows, preset="article", **changes):
    """A run folder with the given rows of (step, episodes, episodic_return, entropy)."""
    folder.mkdir()
    config = PPOConfig.preset(preset).to_dict() | changes
    (folder / CONFIG).write_text(json.dumps({"preset": preset, "config": config}))
    lines = [f"{step},{step / 10},{episodes},{mean},{entropy}" for step, episodes, mean, entropy in rows]
    (folder / METRICS).write_text("\n".join(["step,wall_time,episodes,episodic_return,entropy", *lines]) + "\n")
    return folder


ROWS = [(10, 1, 5.0, 1.0), (20, 0, "", 0.9), (30, 3, 10.0, 0.8), (40, 2, 20.0, 0.7)]


def test_returns_are_means_over_episodes(tmp_path):
    folder = make_run(tmp_path / "a", ROWS)
    steps, returns = read_curve(folder, "step", "episodic_return", window=100)
    assert steps.tolist() == [10, 30, 40]
    np.testing.assert_allclose(returns, [5, (5 + 30) / 4, (5 + 30 + 40) / 6])


def test_the_window_forgets_old_episodes(tmp_path):
    folder = make_run(tmp_path / "a", ROWS)
    np.testing.assert_allclose(read_curve(folder, "step", "episodic_return", window=2)[1], [5, 10, 20])
    np.testing.assert_allclose(read_curve(folder, "step", "episodic_return", window=5)[1], [5, 35 / 4, 70 / 5])


def test_other_columns_are_means_over_updates(tmp_path):
    folder = make_run(tmp_path / "a", ROWS)
    seconds, entropy = read_curve(folder, "wall_time", "entropy", window=2)
    assert seconds.tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(entropy, [1.0, 0.95, 0.85, 0.75])


def test_labels_leave_the_seed_out_and_name_what_was_changed(tmp_path):
    first = run_label(make_run(tmp_path / "a", ROWS, seed=1))
    assert first == run_label(make_run(tmp_path / "b", ROWS, seed=2)) == "LunarLander-v3 (article)"
    assert run_label(make_run(tmp_path / "c", ROWS, gamma=0.9)) == "LunarLander-v3 (article), gamma=0.9"


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_picture_of_several_runs(tmp_path, capsys, suffix):
    runs = [make_run(tmp_path / name, ROWS, seed=seed, gamma=gamma) for name, seed, gamma in
            (("a", 1, 0.99), ("b", 2, 0.99), ("c", 1, 0.9))]  # fmt: skip
    out = tmp_path / f"curves.{suffix}"
    assert run(main, *runs, "--out", out) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert out.stat().st_size > 5000
    if suffix == "png":
        assert matplotlib.image.imread(out).std() > 0.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "RUN is [], but it must be one run folder or more"),
        (["{}/nope"], "must be a run folder with a readable config.json"),
        (["{}/broken"], "must be a run folder with a readable config.json"),
        (["{}/list"], "must be a run folder with a readable config.json"),
        (["{}/words"], "its metrics.csv has no value of episodic_return yet"),
        (["{}/good", "--out", "{}/folder.png"], "must be a file, not a folder"),
        (["{}/empty"], "its metrics.csv has no value of episodic_return yet"),
        (["{}/empty", "--y", "SPS"], "must be a run folder with a metrics.csv of ppo_np"),
        (["{}/good", "--window", "0"], "window is 0"),
        (["{}/good", "{}/good", "--label", "a"], "label is ['a'], but it must be one name for each RUN, so 2"),
        (["{}/no*"], "must be a run folder with a readable config.json, or a folder of such folders"),
        (["{}/" + 300 * "x"], "must be a run folder with a readable config.json, or a folder of such folders"),
        (["{}/good", "--out", "{}/" + 300 * "x" + ".png"], "cannot be written: File name too long."),
        (["{}/null"], "has no value of episodic_return yet"),
        (["{}/text"], "must be a run folder with a readable config.json"),
        (["{}/good", "--out", "{}/x.bmp"], "must be a .png, .svg or .pdf file"),
        (["{}/good", "--out", "{}/no/x.png"], "must be in a folder that exists"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, capsys, arguments, message):
    make_run(tmp_path / "good", ROWS)
    make_run(tmp_path / "empty", ROWS[1:2])
    make_run(tmp_path / "broken", ROWS)
    (tmp_path / "broken" / CONFIG).write_text("{")
    (make_run(tmp_path / "list", ROWS) / CONFIG).write_text("[]")
    make_run(tmp_path / "words", [(10, 1, "much", 1.0)])
    (make_run(tmp_path / "null", ROWS) / METRICS).write_bytes(b"step,wall_time,episodes,episodic_return\n1\0,1,1,1\n")
    (make_run(tmp_path / "text", ROWS) / CONFIG).write_text('{"preset": "article", "config": "text"}')
    (tmp_path / "folder.png").mkdir()
    assert run(main, *(argument.format(tmp_path) for argument in arguments)) == cli.BAD_ARGUMENTS
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert [path.name for path in tmp_path.glob("*.png")] == ["folder.png"]


def test_rows_in_another_order_are_the_same_curve(tmp_path):
    one, other = make_run(tmp_path / "one", ROWS), make_run(tmp_path / "other", ROWS[::-1])
    curves = (read_curve(run, "step", "episodic_return", 2) for run in (one, other))
    np.testing.assert_array_equal(*curves)


def test_a_missing_plot_extra_is_named(tmp_path, capsys, monkeypatch):
    folder = make_run(tmp_path / "good", ROWS)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run(main, folder, "--out", tmp_path / "x.png") == cli.BAD_ARGUMENTS
    assert "needs matplotlib, which is not installed: pip install" in capsys.readouterr().err


def curve(*points):
    x, y = zip(*points, strict=True)
    return np.array(x, float), np.array(y, float)


def drawn(groups, **options):
    """The picture of groups of curves, and for each line in it: its colour, its style or marker, and its points."""
    figure = draw(groups, PlotOptions(runs=("x",), **options))
    (axes,) = figure.axes
    lines = []
    for line in axes.lines:
        x, y = line.get_data()
        seen = np.isfinite(y)
        kind = line.get_marker() if line.get_linestyle() == "None" else line.get_linestyle()
        lines.append((matplotlib.colors.to_hex(line.get_color()), kind, x[seen], y[seen]))
    return figure, lines


def test_the_mean_is_over_the_runs_that_have_data():
    shorter, longer = curve((0, 0), (10, 10)), curve((0, 2), (20, 42))
    x, mean, lowest, highest, number = mean_and_band([shorter, longer])
    assert (x[0], x[-1]) == (0, 20)
    at = [int(np.searchsorted(x, value)) for value in (0, 10, 20)]
    assert number[at].tolist() == [2, 2, 1]
    np.testing.assert_allclose(mean[at], [1, 16, 42])
    np.testing.assert_allclose(lowest[at], [0, 10, 42])
    np.testing.assert_allclose(highest[at], [2, 22, 42])


@pytest.fixture
def seen(monkeypatch):
    """The groups of which the command draws a picture, instead of the picture."""
    groups = {}

    def record(given, _):
        groups.update(given)
        return SimpleNamespace(savefig=lambda file, **_: file.write(b"picture"))

    monkeypatch.setattr("ppo_np.plot.draw", record)
    return groups


def test_where_no_run_has_data_there_is_no_line():
    _, lines = drawn({"a": [curve((0, 1), (10, 1)), curve((20, 5), (30, 5))]})
    (_, solid, x, _), (_, dashed, some_x, some_y) = lines
    assert (solid, dashed, len(x)) == ("-", "--", 0)
    assert not ((some_x > 10) & (some_x < 20)).any()
    assert (some_y == np.where(some_x <= 10, 1, 5)).all()


def test_a_shorter_run_does_not_cut_the_line_and_is_told_of(tmp_path, capsys, seen):
    _, lines = drawn({"a": [curve((0, 1), (10, 1)), curve((0, 3), (30, 3))]})
    (_, _, x, y), (_, _, more_x, more_y) = lines
    assert (x[0], x[-1], more_x[-1]) == (0, 10, 30)
    assert (y == 2).all()
    assert (more_y == 3).all()
    runs = [make_run(tmp_path / "a", ROWS, seed=1), make_run(tmp_path / "b", ROWS[:3], seed=2)]
    assert run(main, *runs, "--out", tmp_path / "x.png") == 0
    assert capsys.readouterr().err == (
        "warning: LunarLander-v3 (article): the runs end between step 30 and 40; the line is dashed where not all of "
        "them have data.\n"
    )


def test_one_point_is_a_dot():
    _, lines = drawn({"a": [curve((5, 7))], "b": [curve((0, 1), (10, 2))]})
    dots = [(x.tolist(), y.tolist()) for _, kind, x, y in lines if kind == "o"]
    assert dots == [([5], [7])]


def test_runs_without_finished_episodes_are_left_out_and_told_of(tmp_path, capsys, seen):
    runs = [make_run(tmp_path / "good", ROWS), make_run(tmp_path / "empty", ROWS[1:2])]
    assert run(main, *runs, "--out", tmp_path / "x.png") == 0
    sentence = f"warning: {tmp_path / 'empty'} has no value of episodic_return yet: it is left out.\n"
    assert capsys.readouterr() == (f"{tmp_path / 'x.png'}\n", sentence)
    assert list(seen) == ["LunarLander-v3 (article)"]


@pytest.mark.parametrize("number", [1, 12])
def test_a_long_legend_leaves_the_axes_their_height_and_shows_every_label(number):
    labels = [f"_{i}$\\frac [red] {'a long setting=1, ' * 12}" for i in range(number)]
    figure, lines = drawn({label: [curve((0, i), (10, i))] for i, label in enumerate(labels)})
    figure.draw_without_rendering()
    (legend,) = figure.legends
    (axes,) = figure.axes
    texts = [text.get_text().replace("\n", " ") for text in legend.get_texts()]
    assert texts == [" ".join(f"{label}, 1 run".split()) for label in labels]
    inches = axes.get_window_extent().height / figure.dpi
    assert 3 < inches < 4.5
    box, whole = legend.get_window_extent(), axes.get_tightbbox()
    assert box.y0 >= 0
    assert box.x1 <= figure.bbox.x1
    assert box.y1 <= whole.y0
    assert len({colour for colour, *_ in lines}) == number


def test_labels_name_and_join_the_runs(tmp_path, capsys, seen):
    runs = [make_run(tmp_path / name, ROWS, gamma=gamma) for name, gamma in (("a", 0.9), ("b", 0.8), ("c", 0.7))]
    assert run(main, *runs, "--out", tmp_path / "x.png", "--label", "ours", "_theirs", "ours") == 0
    assert {label: len(curves) for label, curves in seen.items()} == {"ours": 2, "_theirs": 1}
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("given", ["runs", "runs/*", "runs/**", "runs/[lm]*"])
def test_a_folder_of_runs_and_a_pattern_mean_the_runs_in_them(given, tmp_path, capsys, seen):
    """What is no run there is left out; a run whose name looks like a pattern is that run."""
    (tmp_path / "runs" / "more").mkdir(parents=True)
    make_run(tmp_path / "runs" / "lander", ROWS)
    make_run(tmp_path / "runs" / "more" / "[lm]", ROWS, seed=2)
    make_run(tmp_path / "runs" / "more" / "foreign", ROWS)
    (tmp_path / "runs" / "more" / "foreign" / CONFIG).write_text("{}")
    assert run(main, tmp_path / given, "--out", tmp_path / "x.png") == 0
    assert {label: len(curves) for label, curves in seen.items()} == {"LunarLander-v3 (article)": 2}
    assert capsys.readouterr().err.count("It is left out.") == 1
    assert run(main, tmp_path / "runs" / "more" / "[lm]", "--out", tmp_path / "x.png") == 0


def test_a_picture_that_cannot_be_written_leaves_the_old_one(tmp_path, capsys, monkeypatch, seen):
    folder, out = make_run(tmp_path / "a", ROWS), tmp_path / "x.png"
    out.write_text("old")

    def write(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", write)
    assert run(main, folder, "--out", out) == cli.BAD_ARGUMENTS
    assert "cannot be written: No space left on device." in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["x.png"]
    assert out.read_text() == "old"
