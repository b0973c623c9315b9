"""The result of a run, the running mean of its return, and the rows that are read of a long metrics.csv."""

import numpy as np
import pytest
from commands import run

from ppo_np.evaluation.playback import evaluate
from ppo_np.logs.csv_file import read_rows
from ppo_np.running import cli
from ppo_np.saving.checkpoint import read_checkpoint
from ppo_np.searching.result import read_result, running_mean, score, write_result
from ppo_np.train import main

SMALL = ["--preset", "article", "--env-id", "CartPole-v1", "--num-steps", "16", "--shared-sizes", "8"]


def test_a_result_holds_what_the_last_policy_reaches(tmp_path):
    folder = tmp_path / "run"
    assert run(main, *SMALL, "--run-dir", folder, "--total-timesteps", 512) == cli.DONE
    write_result(folder, 2)
    result = read_result(folder, 2)
    saved = read_checkpoint(folder / "checkpoint.h5")
    assert result == {
        "steps": 512, "wall_time": saved.wall_time, "training_return": np.mean(saved.recent_episodes[:, 0]),
        "training_episodes": len(saved.recent_episodes),
        "greedy_return": evaluate(folder / "checkpoint.h5", 2, 10_000)["mean_return"], "greedy_episodes": 2,
    }  # fmt: skip
    assert score(result) == result["greedy_return"]
    assert read_result(folder, 3) is None  # it must be evaluated again
    write_result(folder, 0)
    assert score(read_result(folder, 0)) == result["training_return"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_damaged_result_is_none(tmp_path, text):
    (tmp_path / "result.json").write_text(text)
    assert read_result(tmp_path, 0) is None


def test_the_running_mean_is_over_the_last_100_episodes_in_whole_rows():
    rows = [{"episodes": "60", "episodic_return": str(mean)} for mean in (1.0, 2.0, 4.0)]
    assert running_mean(rows) == 3.0
    assert running_mean([*rows, {"episodes": "0", "episodic_return": ""}]) == 3.0
    assert running_mean([{"episodes": "0", "episodic_return": ""}]) is None


@pytest.mark.parametrize("tail", [1, 10, 11, 12, 18, 38, 39, 40, 1000])
def test_the_tail_of_a_csv_file_has_whole_rows(tmp_path, tail):
    row = "1,1.25\n"
    (tmp_path / "a.csv").write_text("update,x\n" + 5 * row + "5,5.")
    rows = read_rows(tmp_path / "a.csv", tail)
    assert rows == min(5, max(0, tail - len("5,5.")) // len(row)) * [{"update": "1", "x": "1.25"}]
