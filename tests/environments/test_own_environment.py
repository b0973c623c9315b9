"""What docs/environments.md says about an environment of one's own, done as it says."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "environments.md").read_text()
SECTION = PAGE.split("## Your own environment")[1].split("\n## ")[0]
MODULE, SNIPPET = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
(COMMAND,) = re.findall(r"```sh\n(.*?)\n```", SECTION, re.DOTALL)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mymodule.py").write_text(MODULE)
    return tmp_path


def python(folder, *arguments):
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, env={**os.environ})


def test_the_command_trains_on_it(folder):
    interpreter, *arguments = shlex.split(COMMAND.replace("100000", "2048"))
    done = python(folder, *arguments, "--run-dir", "run")
    assert interpreter == "python"
    assert (done.returncode, done.stderr) == (0, "")
    again = python(folder, "-m", "ppo_np.evaluate", "run", "--episodes", "3")
    assert (again.returncode, again.stderr) == (0, "")
    assert "episodes         3 (greedy" in again.stdout


def test_a_module_that_is_not_there_is_one_sentence(tmp_path):
    done = python(tmp_path, "-m", "ppo_np.train", "--env-id", "mymodule:MyEnv-v0", "--run-dir", "run")
    assert done.returncode == 2
    assert done.stderr.startswith("error: env_id is 'mymodule:MyEnv-v0', but no such environment can be made:")
    assert done.stderr.count("\n") == 1


def test_the_function_from_python(folder):
    (folder / "snippet.py").write_text(SNIPPET.replace("100_000", "4096"))
    done = python(folder, "-W", "error", "snippet.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 3
