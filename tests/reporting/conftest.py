"""Runs that the tests of this folder share."""

import pytest
from report_runs import make_run


@pytest.fixture(scope="session")
def six_runs(tmp_path_factory):
    """A folder of six runs: two settings with three seeds each, one of them with a film."""
    folder = tmp_path_factory.mktemp("six") / "runs"
    for rate in ("1e-3", "3e-3"):
        for seed in ("1", "2", "3"):
            film = b"film" * (rate == "1e-3" and seed == "2")
            make_run(folder / f"{rate}-{seed}", "--learning-rate", rate, "--seed", seed, evaluations=4, film=film)
    return folder
