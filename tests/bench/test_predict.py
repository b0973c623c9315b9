"""The benchmark of `predict`: both ways are timed, each on the same policy."""

import io

import pytest

from bench import predict
from ppo_np.learning.policy import Policy


@pytest.mark.parametrize("norm_obs", [False, True])
@pytest.mark.parametrize(("contestant", "direct"), [("direct", True), ("general", False)])
def test_a_contestant_tells_its_microseconds(monkeypatch, capsys, contestant, direct, norm_obs):
    found, way = [], Policy._evaluated_directly
    monkeypatch.setattr(predict, "CALLS", 5)
    monkeypatch.setattr(
        Policy, "_evaluated_directly", lambda self, obs: (found.append(way(self, obs) is not None), way(self, obs))[1]
    )
    predict.serve(contestant, norm_obs, io.StringIO("\n\n"))
    times = capsys.readouterr().out.split()
    assert len(times) == 2
    assert all(float(time) > 0 for time in times)
    assert found == [direct] * 11
