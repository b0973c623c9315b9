"""The command `explain`: what it prints and writes, that it leaves a run alone, and its refusals."""

import json
import re
from pathlib import Path

import pytest
from commands import run
from explain_cases import trained

from ppo_np import explain, train
from ppo_np.checking.planted_bugs import planted
from ppo_np.explain import SECTIONS, SMALL, main
from ppo_np.running import cli

ROOT = Path(__file__).parents[2]
TRAIN = ["--preset", "article", "--env-id", "CartPole-v1", "--num-steps", "16", "--shared-sizes", "8"]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert run(train.main, *TRAIN, "--total-timesteps", 192, "--norm-obs", "--run-dir", folder) == cli.DONE
    return folder


def contents(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_without_a_run_it_explains_a_small_network(capsys):
    assert run(main) == cli.DONE
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out
    assert out.isascii()
    headings = [title.upper() for title in SECTIONS.values()]
    assert re.findall(r"^[A-Z:' ]{9,}$", out, re.MULTILINE) == headings
    for text in (
        "seed 42, spaces of CartPole-v1: 36 rows.",
        "  dlogits  (36, 2)\n    dl_bk = dlogpi_b (1[k = a_b] - p_bk) - dH_b p_bk (log p_bk + H_b)\n"
        "    categorical_backward, kernels/categorical.py\n",
        "A>0, r<1-e  A<0, r<1-e: flat       A>0, inside",
        "    agrees with the finite difference; largest error ",
        "A>0, r>1+e: flat 6",
        "All 19 gradients agree with central differences of the loss in float64.",
    ):
        assert text in out
    shown = re.search(r"```text\n(  dlogits.+?)```", (ROOT / "docs" / "explain.md").read_text(), re.DOTALL)[1]
    assert shown.split("largest error")[0] in out  # that error is rounding, which differs from machine to machine
    assert run(main) == cli.DONE
    assert capsys.readouterr().out == out


@pytest.mark.parametrize("width", [40, 80, 132])
def test_it_fits_the_terminal(capsys, monkeypatch, width):
    monkeypatch.setenv("FORCE_COLOR", "1")  # Rich then takes the output for a terminal
    monkeypatch.setenv("COLUMNS", str(width))
    assert run(main, "--rows", 12, "--units", 2, "--env-id", "Pendulum-v1") == cli.DONE
    longest = max(map(len, capsys.readouterr().out.splitlines()))
    assert 0.8 * width < longest <= width


def test_a_run_is_explained_and_left_alone(capsys, run_folder):
    before = contents(run_folder)
    assert run(main, run_folder, "--json", "--rows", 5, "--units", 2) == cli.DONE
    document = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert contents(run_folder) == before
    assert list(document) == [
        "title", "env_id", "dtype", "minibatch_rows", "rows", "passed", "surrogate_regions", "value_branches", "lines",
    ]  # fmt: skip
    assert document["title"].startswith("minibatch 1 of update 4 of CartPole-v1 (the run has done its 192 steps")
    assert (document["env_id"], document["dtype"], document["minibatch_rows"]) == ("CartPole-v1", "float32", 16)
    assert document["passed"]
    assert len(document["rows"]) == 5
    assert set(document["value_branches"]) == {"V=Vold, inside"}
    lines = {line["name"]: line for line in document["lines"]}
    assert len(lines) == len(document["lines"])
    assert lines["ratio"]["numbers"] == [[pytest.approx(1, abs=1e-5)] * 5]
    assert lines["obs"]["labels"] == ["[0]", "[1]", "norm"]
    assert lines["m"]["numbers"][0][-1] > 0
    for line in lines.values():
        assert [len(cells) for cells in line["numbers"]] == [len(line["columns"])] * len(line["labels"])
        assert len(line["differences"]) in (0, len(line["labels"]))


def test_a_checkpoint_file_and_a_later_minibatch(capsys, run_folder):
    assert run(main, run_folder / "checkpoint.h5", "--minibatch", 16) == cli.DONE
    assert capsys.readouterr().out.startswith("Minibatch 16 of update 4 of CartPole-v1")


def test_a_damaged_checkpoint_is_replaced_by_the_one_before(capsys, tmp_path, run_folder):
    for path in run_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "checkpoint.h5").write_bytes(b"")
    assert run(main, tmp_path) == cli.DONE
    captured = capsys.readouterr()
    assert captured.err.startswith("warning: ")
    assert captured.err.count("\n") == 1
    assert captured.out.startswith("Minibatch 1 of update 1 of CartPole-v1: 16 rows.\n")


def test_the_page_is_written(capsys, tmp_path):
    path = tmp_path / "explain.html"
    assert run(main, "--html", path) == cli.DONE
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["page", str(path)]
    assert out[-1] == "All 19 gradients agree with central differences of the loss in float64."
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert text.endswith("</html>\n")
    assert not re.search(r"@\w+@", text)


def test_a_zero_has_no_sign(capsys):
    assert run(main, "--ent-coef", 0) == cli.DONE
    out = capsys.readouterr().out
    assert re.search(r"dentropies.*?\n +0 +0 +0\n +difference +0 +0 +0\n", out, re.DOTALL)
    assert not re.search(r"-0\s", out)


def test_a_wrong_gradient_fails(capsys):
    with planted("no-clip", SMALL):
        assert run(main) == cli.FAILED
    out = capsys.readouterr().out
    assert "WRONG: does not agree with the finite difference" in out
    assert re.search(r"\d+ of 19 gradients are WRONG: dlogprobs, ", out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "checkpoint is 'nowhere'"),
        (["--rows", "0"], "rows is 0, but it must be an integer >= 1."),
        (["--units", "-1"], "units is -1, but it must be an integer >= 1."),
        (["--minibatch", "2"], "minibatch is 2, but it must be 1 without RUN."),
        (["RUN", "--minibatch", "17"], "minibatch is 17, but it must be in 1 to 16, the minibatches of an update of"),
        (["RUN", "--gamma", "0.5"], "gamma is 0.5, but it must be left away with RUN: the run has its own settings."),
        (["--env-id", "Nope-v9"], "env_id is 'Nope-v9'"),
        (["--clip-coef", "-1"], "clip_coef is -1.0"),
        (["--html", "."], "html is '.', but it must be a file, not a folder."),
        (["--html", "nowhere/page.html"], "html is 'nowhere/page.html', but it must be in a folder that exists."),
        (["--html", "/dev/full"], "html is '/dev/full', but it cannot be written: No space left on device."),
    ],
)
def test_a_mistake_is_one_sentence(capsys, run_folder, arguments, message):
    assert run(main, *(run_folder if text == "RUN" else text for text in arguments)) == cli.BAD_ARGUMENTS
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {message}")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_run_that_has_saved_nothing_is_refused(capsys, tmp_path):
    (tmp_path / ".lock").touch()
    assert run(main, tmp_path) == cli.BAD_ARGUMENTS
    assert capsys.readouterr().err.endswith("but that run ended before it had saved anything.\n")


def test_help_says_what_it_does(capsys):
    assert run(main, "--help") == cli.DONE
    text = " ".join(capsys.readouterr().out.split())
    assert "[RUN]" in text
    assert "nothing is written into the run folder" in text


def test_a_loss_that_is_not_finite_is_one_sentence(capsys, tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.h5"
    trained(path)
    from ppo_np.network.model import ActorCritic

    right = ActorCritic.loss_and_gradient

    def wrong(self, *arguments):
        terms = right(self, *arguments)
        self.grads[3] = float("nan")
        return terms

    monkeypatch.setattr(ActorCritic, "loss_and_gradient", wrong)
    assert run(explain.main, path) == cli.FAILED
    assert capsys.readouterr().err.startswith("error: The loss or the gradient of the minibatch is not finite")
