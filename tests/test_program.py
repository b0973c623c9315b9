"""`python -m ppo_np` and the program `ppo-np`: the list of commands, starting one, completion."""

import os
import subprocess
import sys

import pytest

from ppo_np import __main__ as program
from ppo_np.errors import UserError
from tests.house import ROOMS, ROOT

SCRIPT = "import sys; from ppo_np.__main__ import script; sys.argv[0] = 'ppo-np'; script()"
ENVIRONMENT = """
from gymnasium import register
register("Mine-v0", entry_point="gymnasium.envs.classic_control:CartPoleEnv")
"""


def outcome(arguments, folder=ROOT, code=SCRIPT):
    command = [sys.executable, "-P", "-c", code, *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
        "PYTHONPATH": str(ROOT)
    }
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout, ended.stderr


def test_the_list_has_every_command_with_a_sentence():
    expected = {"course", *ROOMS["commands"].split()} - {"__main__"}
    found = program.commands()
    assert set(found) == expected
    assert all(len(about) > 8 and "`" not in about for about in found.values())


def test_without_a_command_the_list_is_printed(capsys):
    for arguments in ([], ["--help"]):
        assert program.main(arguments) == 0
        printed = capsys.readouterr().out
        assert "\n  evaluate   Evaluate a trained policy\n" in printed


def test_an_unknown_command_is_named():
    with pytest.raises(UserError, match=r"^command is 'trian', but it must be one of .*, train.*\.$"):
        program.main(["trian"])


def test_the_program_runs_a_command_and_ends_with_its_code(tmp_path):
    code, out, err = outcome(["replay", "none.h5"], tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1


def test_the_program_finds_modules_in_the_working_folder_but_its_own_kernels(tmp_path):
    (tmp_path / "mine.py").write_text(ENVIRONMENT)
    (tmp_path / "kernels.py").write_text("raise SystemExit('a foreign file was run')")
    arguments = ["train", "--preset", "cartpole", "--env-id", "mine:Mine-v0", "--total-timesteps", "0"]
    code, out, err = outcome(arguments, tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith("error: total_timesteps is 0")


def test_tyros_completion_knows_the_flags_of_every_command(tmp_path):
    with pytest.raises(SystemExit) as stopped:
        program.main(["--tyro-write-completion", "bash", str(tmp_path / "ppo-np")])
    assert not stopped.value.code
    words = "COMP_WORDS=(ppo-np {}); COMP_CWORD=2; _tyro_ppo_np; echo ${{COMPREPLY[@]}}"
    for typed, expected in (
        ("train --learning-r", "--learning-rate --learning-rate-schedule"),
        ("plot --win", "--window"),
    ):
        shell = f"source {tmp_path}/ppo-np; {words.format(typed)}"
        ended = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
        assert ended.stdout.strip() == expected
