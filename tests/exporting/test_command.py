"""The export command: what it writes, prints and refuses."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import run
from gymnasium.spaces import Box, Discrete
from policies import OF_ENVIRONMENTS, of_spaces, save

from ppo_np import PPOConfig
from ppo_np.errors import UserError
from ppo_np.export import main
from ppo_np.exporting import c_header, keras_weights, npz, onnx_file, python_file
from ppo_np.exporting.arrays import arrays_of
from ppo_np.exporting.export import FORMATS, NotEqualError, export, read_source
from ppo_np.exporting.observations import random_observations
from ppo_np.exporting.verify import differences, sample_of
from ppo_np.learning.policy import Policy
from ppo_np.running import cli
from ppo_np.saving.hdf5 import pack, unpack

COMPILERS = filter(None, map(shutil.which, ("cc", "gcc", "clang")))
needs_compiler = pytest.mark.skipif(next(COMPILERS, None) is None, reason="there is no C compiler")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a run folder for some policies."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("CartPole", "masked", "squashed", "rescaled"):
        (folder / name).mkdir()
        save(OF_ENVIRONMENTS[name], folder / name / "checkpoint.h5")
    return folder


def printed(text):
    """The program that the command has printed."""
    return text.split("\n\n", 1)[1]


def run_as_written(code, folder, name="main.py"):
    (folder / name).write_text(code)
    return subprocess.run([sys.executable, name], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("CartPole", ".onnx"), ("CartPole", ".weights.h5"), ("masked", ".npz"),
        pytest.param("squashed", ".h", marks=needs_compiler),
    ],
)  # fmt: skip
def test_the_file_is_written_and_compared(runs, tmp_path, capsys, monkeypatch, name, ending):
    out = tmp_path / f"policy{ending}"
    assert run(main, runs / name, out, "--observations", 300) == cli.DONE
    text = capsys.readouterr().out
    assert f"written       {out}, {out.stat().st_size:,} bytes\n" in text
    assert "compared on   300 random observations and 4 of the checkpoint\n" in text
    assert float(re.search(r"the largest: (\S+)\n", text)[1]) <= 1e-5
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    if ending in (".npz", ".onnx"):
        monkeypatch.chdir(tmp_path)
        exec(printed(text).split("# torch:")[0], {})
        assert ("action" in capsys.readouterr().out) == (ending == ".npz")


def test_the_python_file_needs_nothing_but_numpy(runs, tmp_path, capsys):
    assert run(main, runs / "masked", tmp_path / "policy.py") == cli.DONE
    shown = run_as_written(printed(capsys.readouterr().out), tmp_path)
    assert "probabilities" in shown
    mask = (
        "import sys, numpy as np, policy; print(policy.predict(np.zeros((1, 10)), np.arange(5)[None] == 3)['action'])"
    )
    own = run_as_written(f"{mask}; print('ppo_np' in sys.modules)", tmp_path)
    assert own == "[3]\nFalse\n"


@needs_compiler
def test_the_c_file_and_the_printed_program(runs, tmp_path, capsys):
    assert run(main, runs / "CartPole", tmp_path / "cart_pole.h") == cli.DONE
    (tmp_path / "main.c").write_text(printed(capsys.readouterr().out))
    flags = ["-std=c99", "-Wall", "-Werror", "-O2"]
    subprocess.run([c_header.compiler(), *flags, "main.c", "-lm"], cwd=tmp_path, check=True)
    shown = subprocess.run([tmp_path / "a.out"], capture_output=True, text=True, check=True).stdout
    source = read_source(runs / "CartPole" / "checkpoint.h5")
    assert int(shown) == source.policy.predict(np.zeros(4, np.float32))


def wrong_encode(policy, name):
    """A file without the bias of the policy head."""
    tensors = policy.tensors | {"policy/head/bias": policy.tensors["policy/head/bias"] * 0}
    return npz.encode(replace(policy, tensors=tensors), name)


def test_a_file_that_differs_is_not_left_behind(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(FORMATS, ".npz", FORMATS[".npz"]._replace(encode=wrong_encode))
    out = tmp_path / "policy.npz"
    assert run(main, runs / "CartPole", out) == cli.FAILED
    message = capsys.readouterr().err
    assert re.fullmatch(
        r"error: policy.npz was not written, because its outputs \(action\) differ from the policy's by "
        r"\S+, more than 1e-05.\n", message
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == []
    out.write_text("an old file")
    with pytest.raises(NotEqualError):
        export(read_source(runs / "CartPole" / "checkpoint.h5"), out)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["an old file"]


@pytest.mark.parametrize("name", ["CartPole", "squashed"])
def test_each_kind_of_difference_is_found(runs, name):
    source = read_source(runs / name / "checkpoint.h5")
    arrays = arrays_of(source.policy)
    observations = source.policy.observations.space.sample()[None].clip(-1, 1).repeat(3, axis=0)
    sample = sample_of(source.policy, arrays, observations, None, None)
    right = npz.runner(npz.encode(arrays, "x"), arrays)(sample.flat_obs, None)
    assert max(differences(lambda obs, mask: right, sample, arrays).values()) < 1e-6
    for output in arrays.output_names:
        is_choice = output == "action" and name == "CartPole"
        moved = 1 - right[output] if is_choice else right[output] + 1e-3
        worse = {"moved": moved, "shape": right[output][:2], "nan": right[output] * np.nan, "far": right[output] + 7}
        for what, wrong in worse.items():
            found = differences(lambda obs, mask, w=wrong, o=output: right | {o: w}, sample, arrays)
            assert found[output] > 1e-4, (output, what)
            assert all(value < 1e-6 for other, value in found.items() if other != output)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope", "x.npz"], "RUN_OR_FILE is 'nope', but it must be a run folder with a checkpoint.h5 or such a file."),
        (
            ["{}/CartPole", "x.pt"],
            "OUT is 'x.pt', but it must be a file that ends in .onnx, .npz, .py, .h, .weights.h5",
        ),
        (["{}/CartPole", ".npz"], "OUT is '.npz'"),
        (["{}/CartPole", "{}/no/x.npz"], "but it must be a file in a folder that exists."),
        (["{}/CartPole", "{}/2-x.h"], "OUT is '2-x.h', but it must be a name whose part before .h is one of C"),
        (["{}/CartPole", "x.npz", "--observations", "0"], "observations is 0, but it must be an integer >= 1."),
        (["{}/CartPole", "x.npz", "--seed", "-1"], "seed is -1, but it must be an integer >= 0."),
        (
            ["{}/masked", "{}/x.weights.h5"],
            "OUT is 'x.weights.h5', but the policy has the activation tanh, hidden layers of the policy's or the "
            "value's own, action masks",
        ),
    ],
)
def test_a_mistake_is_one_sentence(runs, capsys, arguments, message):
    assert run(main, *(argument.format(runs) for argument in arguments)) == cli.BAD_ARGUMENTS
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert captured.out == ""
    assert not list(runs.glob("*x.*"))


def test_what_is_missing_is_named(runs, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run(main, runs / "CartPole", runs / "x.onnx") == cli.BAD_ARGUMENTS
    assert "needs onnx, which is not installed: pip install 'ppo_np[export]'" in capsys.readouterr().err
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert run(main, runs / "CartPole", runs / "x.h") == cli.BAD_ARGUMENTS
    assert "there is no C compiler (CC, cc, gcc or clang)" in capsys.readouterr().err


def test_a_checkpoint_from_before_spaces_were_saved_asks_the_environment(runs, tmp_path, recwarn):
    arrays, attributes = unpack((runs / "masked" / "checkpoint.h5").read_bytes())
    config = json.loads(attributes["config"]) | {"env_id": "sample_environments:ppo_np_test/Cards-v0"}
    del arrays["spaces"]
    (tmp_path / "old.h5").write_bytes(pack(arrays, attributes | {"config": json.dumps(config)}))
    with pytest.warns(RuntimeWarning, match=r"the environment of checkpoint .*old.h5' imports sample_environments\."):
        source = read_source(tmp_path / "old.h5")
    assert export(source, tmp_path / "old.npz", 10).recorded == 4


def test_a_policy_that_is_not_of_a_file_can_be_exported(tmp_path):
    report = export(of_spaces("uint8"), tmp_path / "policy.py", 10)
    assert report.recorded == 0
    assert python_file.usage(report.arrays, "policy.py") == report.usage


def test_out_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ppo_np.exporting.export.write_whole", full)
    with pytest.raises(UserError, match=r"^OUT is .*x\.npz', but it cannot be written: No space left on device\.$"):
        export(of_spaces("uint8"), tmp_path / "x.npz", 10)


@pytest.mark.export
@pytest.mark.parametrize("name", ["CartPole", "normalised", "state log_std"])
def test_the_printed_torch_network(tmp_path, monkeypatch, name):
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    source = read_source(save(OF_ENVIRONMENTS[name], tmp_path / "checkpoint.h5"))
    program = {}
    exec(export(source, tmp_path / "policy.npz").usage.split("# torch:")[1], program)
    arrays, policy = arrays_of(source.policy), source.policy
    obs = random_observations(policy, 1000, np.random.default_rng(0))
    outputs, values = (tensor.detach().numpy() for tensor in program["network"](torch.from_numpy(obs)))
    np.testing.assert_allclose(values, policy.value(obs), rtol=1e-5, atol=1e-5)
    distribution = policy.distribution(obs)
    expected = [distribution[name] for name in (["logits"] if arrays.is_discrete else ["means", "log_std"])]
    np.testing.assert_allclose(outputs, np.stack(expected, axis=2).reshape(outputs.shape), rtol=1e-5, atol=1e-5)


def test_the_programs_on_the_page_are_those_that_are_printed():
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
    spaces_of_cartpole = Box(-1, 1, (4,)), Discrete(2)
    towers = PPOConfig(shared_sizes=(), policy_sizes=(64, 64), value_sizes=(64, 64), activation="tanh")
    own, shared = (arrays_of(Policy(*spaces_of_cartpole, c, None)) for c in (towers, PPOConfig(shared_sizes=(64, 64))))
    programs = npz.usage(own, "policy.npz").removeprefix("# NumPy:\n").split("\n\n# torch:\n")
    programs += [
        form.usage(own, f"policy.{end}") for form, end in ((python_file, "py"), (onnx_file, "onnx"), (c_header, "h"))
    ]
    programs.append(keras_weights.usage(shared, "policy.weights.h5"))
    for program in programs:
        assert f"\n{program.rstrip()}\n```\n" in page
