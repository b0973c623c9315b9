"""What the commands share: exit codes and one-line errors."""

import pytest

from ppo_np.errors import DivergedError, EnvironmentFault, UserError, check, require_extra
from ppo_np.running import cli


def outcome(capsys, error):
    """Exit code and stderr of a command that raises `error`."""

    def main():
        raise error

    with pytest.raises(SystemExit) as stopped:
        cli.run(main)
    return stopped.value.code, capsys.readouterr().err


def test_exit_codes_and_sentences(capsys):
    assert outcome(capsys, UserError("so it is")) == (2, "error: so it is\n")
    assert outcome(capsys, DivergedError("so it went")) == (1, "error: so it went\n")
    assert outcome(capsys, EnvironmentFault("so it broke")) == (1, "error: so it broke\n")
    assert outcome(capsys, KeyboardInterrupt()) == (130, "interrupted\n")


@pytest.mark.parametrize("code", [0, 1, 143])
def test_the_code_of_main_is_the_exit_code(code):
    with pytest.raises(SystemExit) as stopped:
        cli.run(lambda: code)
    assert stopped.value.code == code


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        cli.run(lambda: 1 / 0)


def test_an_extra_that_is_there_is_not_asked_for():
    require_extra("json", "video", "--flag")
    with pytest.raises(
        UserError, match=r"^--flag needs no_such_module, which is not installed: pip install 'ppo_np\[video\]'"
    ):
        require_extra("no_such_module", "video", "--flag")


def test_check_says_what_was_given_and_what_is_allowed():
    check(True, "gamma", 2, "in [0, 1]")
    with pytest.raises(UserError, match=r"^gamma is 2, but it must be in \[0, 1\]\.$"):
        check(False, "gamma", 2, "in [0, 1]")
