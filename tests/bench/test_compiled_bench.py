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
