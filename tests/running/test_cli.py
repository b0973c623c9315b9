"""What the commands share: exit codes, one-line errors, and how numbers are read."""

import dataclasses

import pytest
from commands import run

from ppo_np import evaluate, gradcheck, plot, train
from ppo_np.config import PPOConfig
from ppo_np.errors import DivergedError, EnvironmentFault, UserError, check, require_extra
from ppo_np.running import cli
from ppo_np.running.options import TrainOptions, parse


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


@pytest.mark.parametrize(
    ("text", "number"), [("12", 12), ("1e6", 10**6), ("2.5E3", 2500), ("1_000", 1000), ("-3", -3), ("1e23", 10**23)]
)
def test_whole_numbers_are_read_exactly_however_they_are_written(text, number):
    assert cli.whole_number(text) == number


@pytest.mark.parametrize(
    "text", ["1.5", "1e-3", "1e400", "1e999999999", "1e-999999999", "inf", "nan", "sNaN", "", "x", "0x10", "9" * 5000]
)
def test_what_is_no_whole_number_is_refused(text):
    with pytest.raises(ValueError, match=" is not a whole number$"):
        cli.whole_number(text)


def test_every_flag_with_an_integer_reads_scientific_notation():
    integers = int, int | None, tuple[int, ...], TrainOptions.__annotations__["ranks"]
    fields = {
        kind: [f.name for f in dataclasses.fields(kind) if f.type in integers] for kind in (PPOConfig, TrainOptions)
    }
    assert {"seed", "value_sizes"} <= set(fields[PPOConfig])
    assert {"eval_every", "ranks"} <= set(fields[TrainOptions])
    flags = [f"--{name.replace('_', '-')}" for names in fields.values() for name in names]
    options = parse([text for flag in flags for text in (flag, *["0.4e1"] * (1 + (flag == "--obs-resize")))])
    for given, names in zip((options.config, options), fields.values(), strict=True):
        assert {repr(getattr(given, name)) for name in names} <= {"4", "(4,)", "(4, 4)"}


def test_the_other_commands_read_it_too(capsys):
    """Each is refused for something else, after the numbers have been read."""
    for command, *arguments, sentence in (
        (evaluate.main, "nowhere", "--seed", "1e3", "--episodes", "1e1", "RUN_OR_FILE is 'nowhere'"),
        (plot.main, "nowhere", "--window", "1e1", "RUN is 'nowhere'"),
        (gradcheck.main, "--num-envs", "4e0", "--inject", "nothing", "inject is 'nothing'"),
        (train.main, "--num-envs", "4e0", "--num-minibatches", "3e0", "num_minibatches is 3"),
    ):
        assert run(command, *arguments) == 2
        assert capsys.readouterr().err.startswith(f"error: {sentence}, but it must be")


def test_keyword_arguments_are_literals_or_else_strings():
    texts = ["a=False", "b=8", "c=abc", "d=", "e=x=y", "f='8'", "g=(4, 4)", "h=1e-3", "i=open('x')"]
    values = [False, 8, "abc", "", "x=y", "8", (4, 4), 1e-3, "open('x')"]
    assert repr(parse(["--env-kwargs", *texts]).config.env_kwargs) == repr(dict(zip("abcdefghi", values, strict=True)))
    assert parse([]).config.env_kwargs == parse(["--env-kwargs"]).config.env_kwargs == {}
    wrappers = ["a.b:C(x=1)", "d:E"]
    assert parse(["--wrappers", *wrappers, "--max-episode-steps", "1e3"]).config.wrappers == tuple(wrappers)


@pytest.mark.parametrize("command", [train.main, gradcheck.main, evaluate.main])
@pytest.mark.parametrize(
    ("texts", "allowed"),
    [
        (["abc"], "name=value, with the name of a keyword argument"),
        (["a b=1"], "name=value, with the name of a keyword argument"),
        (["a=1", "a=2"], "name=value, with each name once"),
    ],
)
def test_what_is_no_keyword_argument_is_one_sentence(command, texts, allowed, tmp_path, capsys):
    (tmp_path / "checkpoint.h5").touch()
    arguments = [tmp_path] if command is evaluate.main else []
    assert run(command, *arguments, "--env-kwargs", *texts) == cli.BAD_ARGUMENTS
    assert capsys.readouterr().err == f"error: env_kwargs is {texts[-1]!r}, but it must be {allowed}.\n"
