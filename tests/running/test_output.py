"""Standard output and standard error that are full, closed, gone, or of another encoding; bars and lines."""

import errno
import os
import pty
import signal
import subprocess
import sys
import warnings

import pytest
from commands import run
from small_train import SMALL

from ppo_np import PPO, clone, evaluate, explain, gradcheck, plot, replay, train
from ppo_np.running import cli, signals
from ppo_np.running.output import TERMINAL, LenientFile, make_console, shows_bar


def full_disk():
    return os.open("/dev/full", os.O_WRONLY)


def pipe_without_reader():
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def closed_terminal():
    terminal, program = pty.openpty()
    os.close(terminal)
    return program


FAILURES = {
    full_disk: (cli.FAILED, "error: standard output could not be written: No space left on device.\n"),
    closed_terminal: (cli.FAILED, "error: standard output could not be written: Input/output error.\n"),
    pipe_without_reader: (cli.NOT_READ, ""),  # as other programs under `| head`
}


@pytest.fixture
def broken(monkeypatch):
    """Replace a standard stream by one that writes to a new descriptor, with an encoding."""
    opened = []

    def replace(name, descriptor, encoding="utf-8"):
        opened.append(open(descriptor, "w", encoding=encoding))  # noqa: SIM115
        monkeypatch.setattr(sys, name, opened[-1])

    yield replace
    monkeypatch.undo()
    for file in opened:
        file.close()


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.__name__)
def test_training_goes_on_whatever_becomes_of_its_output(failure, broken, capsys, tmp_path):
    broken("stdout", failure())
    code, sentence = FAILURES[failure]
    assert run(train.main, *SMALL, "--run-dir", tmp_path / "run", "--total-timesteps", 128, "--log-every", 1) == code
    assert capsys.readouterr().err == sentence
    assert PPO.load(tmp_path / "run" / "checkpoint.h5").global_step == 128


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.__name__)
@pytest.mark.parametrize(
    "command", [train, clone, evaluate, plot, replay, explain, gradcheck], ids=lambda module: module.__name__
)
def test_help_that_nobody_reads_leaves_no_traceback(command, failure, broken, capsys):
    broken("stdout", failure())
    code, sentence = FAILURES[failure]
    assert run(command.main, "--help") == code
    assert capsys.readouterr().err == sentence


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.__name__)
def test_a_message_that_cannot_be_written_does_not_change_the_exit_code(failure, broken, tmp_path):
    broken("stderr", failure())
    assert run(train.main, *SMALL, "--gamma", 2) == cli.BAD_ARGUMENTS
    assert run(train.main, *SMALL, "--gamma", "much") == cli.BAD_ARGUMENTS
    assert run(evaluate.main, tmp_path / "nothing") == cli.BAD_ARGUMENTS


def test_a_failure_stays_one_where_the_output_is_full_too(broken, capsys):
    broken("stdout", full_disk())

    def main():
        print("a line")
        return cli.INTERRUPTED

    assert run(lambda _: main()) == cli.INTERRUPTED
    assert capsys.readouterr().err == ""


def test_writing_goes_on_when_the_disk_has_space_again(tmp_path):
    log, full = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT), full_disk()
    written = os.dup(log)
    file = LenientFile(written)
    for target, text in ((log, b"before "), (full, b"meanwhile "), (log, b"after")):
        os.dup2(target, written)
        assert file.write(text) == len(text)
    assert (tmp_path / "log").read_bytes() == b"before after"
    assert file.failure is not None
    assert file.failure.errno == errno.ENOSPC
    for descriptor in (log, full, written):
        os.close(descriptor)


def test_a_pipe_that_another_program_made_non_blocking_is_waited_for():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    file, left, received = LenientFile(writer), b"x" * 200_000, b""
    while left:
        if len(left) < 200_000:  # the pipe is full
            received += os.read(reader, 100_000)
        left = left[file.write(left) :]
    os.close(writer)
    while more := os.read(reader, 100_000):
        received += more
    os.close(reader)
    assert (received, file.failure) == (b"x" * 200_000, None)


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", r"\xe4[red]:smile:[/y]"), ("latin-1", "ä[red]:smile:[/y]")])
def test_names_are_printed_as_they_are_as_far_as_the_encoding_allows(encoding, shown, broken, monkeypatch, tmp_path):
    """No markup, no emoji codes; what the encoding has not, the box of the table included, is written otherwise."""
    monkeypatch.chdir(tmp_path)
    for stream in ("stdout", "stderr"):
        broken(stream, os.open(tmp_path / stream, os.O_WRONLY | os.O_CREAT), encoding)
    folder = "ä[red]:smile:[/y]"
    assert run(train.main, *SMALL, "--run-dir", folder, "--total-timesteps", 128) == 0
    assert run(evaluate.main, f"{folder}/none") == cli.BAD_ARGUMENTS
    lines = (tmp_path / "stdout").read_text(encoding).splitlines()
    assert lines[0] == f"run folder: {tmp_path}/{shown}"
    assert "| shared/0    | (B, 8)       |         40 |" in lines
    assert f"{'checkpoint':<24}{tmp_path}/{shown}/checkpoint.h5" in lines
    assert (tmp_path / "stderr").read_text(encoding).startswith("error: RUN_OR_FILE is ")


def test_a_warning_keeps_the_brackets_of_a_name(capsys):
    make_console(stderr=True, soft_wrap=True).print("warning: runs/a[red]b/[/x]:smile:/checkpoint.h5")
    assert capsys.readouterr().err == "warning: runs/a[red]b/[/x]:smile:/checkpoint.h5\n"


def test_a_signal_is_answered_though_its_message_cannot_be_written(monkeypatch):
    def write(*_):
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    monkeypatch.setattr(os, "write", write)
    with signals.StopSignals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.exit_code == 143


def test_closed_descriptors_exist_while_a_command_runs(tmp_path):
    """Otherwise the file that the command opens gets number 0, 1 or 2, and messages are written into it."""
    code = f"""if True:
        import os, signal, subprocess, sys
        from ppo_np.running import cli
        from ppo_np.running.signals import StopSignals

        def main():
            with open({str(tmp_path / "precious")!r}, "w") as file, StopSignals() as signals:
                file.write(str(file.fileno() > 2))
                os.kill(os.getpid(), signal.SIGTERM)
                print("lost", sys.stdout.isatty())
                print("lost", file=sys.stderr)
                file.write(str(subprocess.run(["sh", "-c", "echo lost; echo lost >&2"]).returncode))
                return signals.exit_code

        cli.run(main)
    """
    shell = f"{sys.executable} -c '{code.replace(chr(39), chr(34))}' <&- >&- 2>&-"
    assert subprocess.run(shell, shell=True, check=False).returncode == 143
    assert (tmp_path / "precious").read_text() == "True0"


class Screen:
    """What a console asks a file."""

    encoding = "utf-8"

    def __init__(self, isatty):
        self.isatty = lambda: isatty


@pytest.mark.parametrize(
    ("isatty", "environment", "bar"),
    [
        (True, {}, True),
        (False, {}, False),
        (False, {"FORCE_COLOR": "1"}, False),
        (False, {"FORCE_COLOR": "1", "TERM": "dumb"}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {"TERM": "unknown"}, False),
        (True, {"TERM": "dumb", "FORCE_COLOR": "1"}, False),
        (True, {"NO_COLOR": "1"}, True),
        (False, {TERMINAL: "1", "FORCE_COLOR": "1"}, True),  # a rank whose launcher runs on a terminal
        (False, {TERMINAL: "1", "FORCE_COLOR": "1", "TERM": "dumb"}, False),
    ],
)
def test_a_bar_is_shown_where_there_is_a_terminal_that_can_move_its_cursor(monkeypatch, isatty, environment, bar):
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", TERMINAL):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"TERM": "xterm"} | environment).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", Screen(isatty))
    assert shows_bar(make_console()) is bar


def test_a_warning_is_printed_as_one_sentence():
    before, printed = warnings.formatwarning, []
    with pytest.raises(SystemExit):
        cli.run(lambda: printed.append(warnings.formatwarning("a film fails", RuntimeWarning, "x.py", 1, "line")))
    assert printed == ["warning: a film fails\n"]
    assert warnings.formatwarning is before
