"""The gate against slow-downs: it passes what is as it was, fails on a planted slow-down and names it."""

import json

import pytest
from conftest import needs_jit

from bench.gate import gate
from bench.gate.cases import CASES
from bench.gate.turns import Turns, check_agreement

TANH, RELU, ADAM = "tanh_forward 128x64", "relu_backward 128x64", "adam 9797"


def baseline(processor=None, median=0.5, highest=0.5):
    return {"processor": processor or gate.architecture(), "ratios": {TANH: {"median": median, "highest": highest}}}


@needs_jit
@pytest.mark.parametrize(("name", "case"), [("libm-tanh", TANH), ("strided-relu", RELU), ("adam-twice", ADAM)])
def test_it_passes_what_was_recorded_and_fails_on_a_planted_slow_down(tmp_path, capsys, name, case):
    short = ["--turns", "60", "--baseline", str(tmp_path / "gate.json"), "--only", case]
    taken = Turns([case])
    taken.take(60)
    ratio = taken.ratios()[case]
    recorded = {"processor": gate.architecture(), "ratios": {case: {"median": ratio, "highest": ratio}}}
    (tmp_path / "gate.json").write_text(json.dumps(recorded))
    assert gate.main(short) == 0
    assert "times as slow" not in capsys.readouterr().out
    assert gate.main([*short, "--plant", name]) == 1
    said = capsys.readouterr().out
    assert f"{case}: ours / NumPy is " in said and "it has become " in said


def test_each_case_agrees_with_numpy_and_has_its_baseline():
    check_agreement(name for name in CASES if "1024" not in name)
    assert list(json.loads(gate.BASELINE.read_text())["ratios"]) == list(CASES)


def test_what_is_more_than_allowed_fails():
    (same,) = gate.judge({TANH: 0.74}, baseline())
    (slower,) = gate.judge({TANH: 0.76}, baseline())
    (faster,) = gate.judge({TANH: 0.33}, baseline())
    (elsewhere,) = gate.judge({TANH: 1.0}, baseline(processor="another"))
    assert [one.failed for one in (same, slower, faster, elsewhere)] == [False, True, False, False]
    assert faster.improved and not same.improved
    assert slower.sentence() == (
        f"{TANH}: ours / NumPy is 0.760, the baseline 0.500, allowed 0.750: it has become 1.5 times as slow."
    )


def test_only_what_failed_is_measured_again(monkeypatch):
    asked = []

    class Scripted:
        def __init__(self, names, plant):
            self.names = list(names)

        def take(self, turns, names=None):
            asked.append(names)

        def ratios(self):
            return {TANH: 1.0 if len(asked) < 3 else 0.5}

    monkeypatch.setattr(gate, "Turns", Scripted)
    (verdict,) = gate.measure([TANH], 1, baseline())
    assert asked == [None, [TANH], [TANH]] and not verdict.failed
