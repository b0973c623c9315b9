"""Going on with a run whose environments cannot be brought back: it is told."""

import random

import gymnasium
import numpy as np
import pytest
import sample_environments
from durability.kill.compare import rows
from resuming import BASE, CARTPOLE, go_on, stopped, warnings_in

from ppo_np.environments import env_recorder
from ppo_np.saving.checkpoint import read_checkpoint


class Hidden(sample_environments.Counting):
    """Its observations come from Python's own random numbers, which nobody keeps."""

    def _obs(self):
        return np.array([random.random(), self.count], np.float32)


gymnasium.register("ppo_np_test/Hidden-v0", Hidden)

LOST = {
    "hidden numbers": ["--env-id", "ppo_np_test/Hidden-v0"],
    "hidden counter": ["--env-id", "ppo_np_test/Counting-v0"],
    "workers": ["--env-id", "ppo_np_test/Hidden-v0", "--vectorization", "async"],
    "native": ["--env-id", "CartPole-v1", "--vectorization", "vector"],
}


@pytest.mark.parametrize("kind", LOST)
def test_environments_that_cannot_be_brought_back_are_told_of(tmp_path, monkeypatch, capsys, kind):
    folder = stopped(monkeypatch, tmp_path / "run", *BASE, *LOST[kind], at=5 * 16 + 7)
    step = read_checkpoint(folder / "checkpoint.h5").counters["global_step"]
    go_on(folder)
    (warning,) = warnings_in(capsys.readouterr())
    assert warning == (
        "environments 0, 1 could not be restored and began a new episode: "
        f"from step {step} on, results differ from those of an uninterrupted run."
    )
    reset = [row["environments_reset"] for row in rows(folder / "metrics.csv")]
    assert reset == ["0"] * 5 + ["2"] + ["0"] * (len(reset) - 6)
    assert len(reset) >= 8


def test_lost_environments_are_told_of_in_the_log_after_another_stop_too(tmp_path, monkeypatch):
    folder = stopped(monkeypatch, tmp_path / "run", *CARTPOLE, at=5 * 16 + 7)
    with monkeypatch.context() as patched:
        patched.setattr(env_recorder, "_is_same", lambda *_: False)
        stopped(monkeypatch, folder, at=3, start=go_on)
    go_on(folder)
    assert [row["environments_reset"] for row in rows(folder / "metrics.csv")][5] == "2"


@pytest.mark.parametrize(("history", "lost"), [(64, "0"), (63, "2")])
def test_episodes_that_are_too_long_to_be_remembered_are_lost(tmp_path, monkeypatch, capsys, history, lost):
    """Pendulum's last for 200 steps; an action takes 4 bytes in each of two environments."""
    monkeypatch.setattr(env_recorder, "LARGEST_HISTORY", 8 * history)
    folder = stopped(monkeypatch, tmp_path / "run", *BASE, "--env-id", "Pendulum-v1", at=4 * 16 + 7)
    go_on(folder)
    assert len(warnings_in(capsys.readouterr())) == (lost != "0")
    assert [row["environments_reset"] for row in rows(folder / "metrics.csv")][4] == lost
