"""The scripts of examples/, run as the first line of each says."""

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if f"python examples/{path.name}" in path.read_text())
LAST_LINE = {
    "callback": r"go on with: python -m ppo_np\.train --resume runs/callback",
    "cartpole": r"action: [01]",
    "curriculum": r"half length of the poles: \[0\.15(, 0\.15){7}\]",
    "custom_environment": r"25\.0 degrees, target 20: heating off",
    "ensemble": r"together: mean return [0-9.]+",
    "evaluation": r"seed 2: return [0-9.]+",
}
SECONDS = 20  # of a processor


def test_each_example_has_its_last_line_here():
    assert list(LAST_LINE) == SCRIPTS


@pytest.mark.examples
@pytest.mark.parametrize("name", LAST_LINE)
def test_an_example_does_what_it_says(tmp_path, name):
    (tmp_path / "examples").symlink_to(FOLDER)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, f"examples/{name}.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(LAST_LINE[name], done.stdout.splitlines()[-1])
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SECONDS
    if name == "callback":
        resumed = LAST_LINE[name].partition(": ")[2].replace("\\", "").split()
        assert subprocess.run([sys.executable, *resumed[1:], "--total-timesteps", "256"], cwd=tmp_path).returncode == 0
