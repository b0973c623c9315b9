"""The gate against slow-downs: it passes what is as it was, fails on a planted slow-down and names it."""

import json

import pytest
from conftest import needs_jit

from bench.gate import gate
from bench.gate.cases import CASES, case_of
from bench.gate.turns import Turns
from bench.reference.agreement import check_case

TANH, RELU, ADAM = "tanh_forward 128x64", "relu_backward 128x64", "adam 9797"


def baseline(case, median=0.5, processor=None):
    return {"processor": processor or gate.architecture(), "ratios": {case: {"median": median, "highest": median}}}


@needs_jit
@pytest.mark.parametrize(("name", "case"), [("libm-tanh", TANH), ("strided-relu", RELU), ("adam-twice", ADAM)])
def test_it_passes_what_was_recorded_and_fails_on_a_planted_slow_down(tmp_path, monkeypatch, capsys, name, case):
    monkeypatch.setattr(gate, "TURNS", 60)
    monkeypatch.setattr(gate, "BASELINE", tmp_path / "baseline.json")
    taken = Turns([case])
    taken.take(60)
    gate.BASELINE.write_text(json.dumps(baseline(case, taken.ratios()[case])))
    assert gate.main(["--only", case]) == 0
    assert "times as slow" not in capsys.readouterr().out
    assert gate.main(["--only", case, "--plant", name]) == 1
    said = capsys.readouterr().out
    assert f"{case}: ours / NumPy is " in said and "it has become " in said


def test_each_case_agrees_with_numpy_and_has_its_baseline():
    for name in CASES:
        if "1024" not in name:
            check_case(case_of(name))
    assert list(json.loads(gate.BASELINE.read_text())["ratios"]) == list(CASES)


@pytest.mark.parametrize(
    ("ratio", "processor", "failed", "improved"),
    [(0.74, None, False, False), (0.76, None, True, False), (0.33, None, False, True), (1.0, "other", False, False)],
)
def test_what_is_more_than_allowed_fails(ratio, processor, failed, improved):
    (verdict,) = gate.judge({TANH: ratio}, baseline(TANH, processor=processor))
    assert (verdict.failed, verdict.improved) == (failed, improved)


def test_only_what_failed_is_measured_again(monkeypatch):
    asked = []

    class Scripted:
        def __init__(self, names, plant):
            pass

        def take(self, turns, names=None):
            asked.append(names)

        def ratios(self):
            return {TANH: 1.0 if len(asked) < 3 else 0.5}

    monkeypatch.setattr(gate, "Turns", Scripted)
    (verdict,) = gate.measure([TANH], baseline(TANH))
    assert asked == [None, [TANH], [TANH]] and not verdict.failed
