"""The benchmark of compiled environments without learning."""

import json

from bench import compiled


def test_rates_are_printed_and_written_for_the_ledger(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(compiled, "ROUNDS", 2)
    monkeypatch.setattr(compiled, "STEPS", 10)
    compiled.main(["Pendulum-v1"], tmp_path / "compiled.json")
    document = json.loads((tmp_path / "compiled.json").read_text())
    (found,) = document["results"]
    assert document["benchmark"] == "compiled" and found["env_id"] == "Pendulum-v1"
    for name in ("kernel", "python", "gymnasium"):
        assert 0 < found[name]["min"] <= found[name]["median"] <= found[name]["max"]
    assert found["kernel"]["median"] > found["gymnasium"]["median"]
    assert capsys.readouterr().out.splitlines()[-1].startswith("| Pendulum-v1 |")


def test_rollouts_on_one_thread_and_shared_by_two(monkeypatch, capsys):
    monkeypatch.setattr(compiled, "UPDATES", 3)
    monkeypatch.setattr(compiled, "SHARED", [("Pendulum-v1", 4, 8)])
    compiled.main_threads()
    *_, row = capsys.readouterr().out.splitlines()
    what, one, two, ratio = row.strip("| ").split(" | ")
    assert what == "Pendulum-v1, 4 x 8"
    assert all(float(number) > 0 for number in (one, two, ratio))
