"""The plot command: grouped runs, smoothed curves, one picture."""

import json

import matplotlib.image
import numpy as np
import pytest
from commands import run

from ppo_np import PPOConfig
from ppo_np.logs.filenames import CONFIG, METRICS
from ppo_np.plot import main, read_curve, run_label
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
    (tmp_path / "folder.png").mkdir()
    assert run(main, *(argument.format(tmp_path) for argument in arguments)) == cli.BAD_ARGUMENTS
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert [path.name for path in tmp_path.glob("*.png")] == ["folder.png"]


def test_a_missing_plot_extra_is_named(tmp_path, capsys, monkeypatch):
    folder = make_run(tmp_path / "good", ROWS)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run(main, folder, "--out", tmp_path / "x.png") == cli.BAD_ARGUMENTS
    assert "needs matplotlib, which is not installed: pip install" in capsys.readouterr().err
