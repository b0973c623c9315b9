"""The gate against slow-downs: it passes what is as it was, fails on a planted slow-down and names it."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import needs_jit

import kernels

sys.path.append(str(Path(__file__).parent.parent / "bench"))
import gate
from alternation import Side, Turns, check_agreement
from gate_cases import CASES
from slow_downs import PLANTS

TANH, RELU, ADAM = "tanh_forward 128x64", "relu_backward 128x64", "adam 9797"


def baseline(processor=None, median=0.5, highest=0.5):
    return {"processor": processor or gate.processor(), "ratios": {TANH: {"median": median, "highest": highest}}}


@pytest.fixture
def restored(monkeypatch):
    """Whatever is planted is taken out again."""
    for kernel_name, _ in PLANTS.values():
        monkeypatch.setattr(kernels, kernel_name, getattr(kernels, kernel_name))


@needs_jit
@pytest.mark.parametrize(("name", "case"), [("libm-tanh", TANH), ("strided-relu", RELU), ("adam-twice", ADAM)])
@pytest.mark.usefixtures("restored")
def test_it_passes_what_was_recorded_and_fails_on_a_planted_slow_down(tmp_path, capsys, name, case):
    short = ["--turns", "60", "--baseline", str(tmp_path / "gate.json"), "--only", case]
    taken = Turns([case])
    taken.take(60)
    ratio = taken.ratios()[case]
    recorded = {"processor": gate.processor(), "ratios": {case: {"median": ratio, "highest": ratio}}}
    (tmp_path / "gate.json").write_text(json.dumps(recorded))
    assert gate.main(short) == 0
    assert "slow" not in capsys.readouterr().out.split("\n", 1)[1]
    assert gate.main([*short, "--plant", name]) == 1
    said = capsys.readouterr().out
    assert f"{case}: ours / NumPy is " in said and "it has become " in said


@needs_jit
def test_recording_runs_a_process_of_its_own(tmp_path):
    path = tmp_path / "gate.json"
    assert gate.main(["--record", "1", "--turns", "4", "--baseline", str(path), "--only", TANH]) == 0
    recorded = json.loads(path.read_text())
    assert recorded["runs"] == 1 and recorded["processor"] == gate.processor()
    assert 0 < recorded["ratios"][TANH]["median"] <= recorded["ratios"][TANH]["highest"] < 1


def test_each_case_agrees_with_numpy_and_has_its_baseline():
    check_agreement(name for name in CASES if "1024" not in name)
    assert list(json.loads(gate.BASELINE.read_text())["ratios"]) == list(CASES)


def test_what_is_more_than_allowed_fails():
    (same,) = gate.judge({TANH: 0.74}, baseline())
    (slower,) = gate.judge({TANH: 0.76}, baseline())
    (faster,) = gate.judge({TANH: 0.33}, baseline())
    assert [(one.failed, one.improved) for one in (same, slower, faster)] == [
        (False, False), (True, False), (False, True),
    ]  # fmt: skip
    assert slower.sentence() == (
        f"{TANH}: ours / NumPy is 0.760, the baseline 0.500, allowed 0.750: it has become 1.5 times as slow."
    )
    assert "--record` renews the baseline" in faster.sentence()


def test_another_processor_is_allowed_more():
    (here,), (there,) = gate.judge({TANH: 1.0}, baseline()), gate.judge({TANH: 1.0}, baseline(processor="another"))
    assert here.allowed == pytest.approx(0.75) and there.allowed == pytest.approx(1.5)
    assert here.failed and not there.failed


def test_another_processor_is_told(capsys):
    old = baseline(processor="another")
    gate.show(gate.judge({TANH: 0.5}, old), old)
    assert "another kind of processor (another, and this is " in capsys.readouterr().out


@pytest.mark.parametrize("given", [{}, {"NPY_DISABLE_CPU_FEATURES": ""}])
@pytest.mark.parametrize(
    ("found", "too_much"),
    [(["X86_V3"], ""), (["X86_V3", "X86_V4", "AVX512_ICL"], "X86_V4 AVX512_ICL"), (["AVX2", "AVX512F"], "AVX512F")],
)
def test_numpy_does_without_avx512(monkeypatch, given, found, too_much):
    started = []

    def run(command, env, check):
        started.append((command[1:], env["NPY_DISABLE_CPU_FEATURES"]))
        return SimpleNamespace(returncode=3)

    monkeypatch.delenv("NPY_DISABLE_CPU_FEATURES", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(gate.np, "show_config", lambda mode: {"SIMD Extensions": {"found": found}})
    monkeypatch.setattr(gate.subprocess, "run", run)
    monkeypatch.setattr(gate, "main", lambda: 5)
    monkeypatch.setattr(sys, "argv", ["gate.py", "--ratios"])
    again = too_much and not given
    assert gate.start() == (3 if again else 5)
    assert started == ([(["gate.py", "--ratios"], too_much)] if again else [])


def test_only_what_failed_is_measured_again(monkeypatch):
    asked = []

    class Scripted:
        def __init__(self, names):
            self.names = list(names)

        def take(self, turns, names=None):
            asked.append(names)

        def ratios(self):
            return {TANH: 1.0 if len(asked) < 3 else 0.5}

    monkeypatch.setattr(gate, "Turns", Scripted)
    (verdict,) = gate.measure([TANH], 1, baseline())
    assert asked == [None, [TANH], [TANH]] and not verdict.failed


def test_a_side_keeps_its_quickest_turn():
    calls = []
    side = Side(calls.append, [(1,), (2,)])
    assert side.calls > 1 and side.least == float("inf") and calls == [1] * 3 + [2] * 3
    side.turn((3,), 5)
    first = side.least
    assert calls[6:] == [3] * 5 and first > 0
    side.turn((4,), 5)
    assert 0 < side.least <= first


@pytest.mark.skipif(gate.COMPILED, reason="only without the JIT")
def test_without_the_jit_there_is_nothing_to_measure():
    with pytest.raises(SystemExit, match="NUMBA_DISABLE_JIT is set"):
        gate.main([])
