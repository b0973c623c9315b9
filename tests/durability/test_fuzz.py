"""A few hundred of the mutants of `python tests/durability/fuzz/run.py`, and that it finds planted faults."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ppo_np import PPO, UserError
from ppo_np.saving.hdf5 import pack, unpack

FUZZ = Path(__file__).parent / "fuzz"
sys.path.insert(0, str(FUZZ))

import originals  # noqa: E402
import run as fuzz  # noqa: E402

sys.path.remove(str(FUZZ))


@pytest.fixture(scope="module")
def wholes(tmp_path_factory):
    return originals.make(tmp_path_factory.mktemp("wholes"))


def failures_of(wholes, folder, *arguments):
    counts, failures = fuzz.fuzz(wholes, folder, fuzz.parse(list(map(str, arguments))))
    assert len(failures) == sum(verdicts["failed"] for verdicts in counts.values())
    return failures


def test_damaged_files_are_refused_or_load_equal(wholes, tmp_path):
    assert failures_of(wholes, tmp_path, "--only", "raw", "--mutants", 200, "--deep-every", 20) == []


def test_forged_files_do_no_harm(wholes, tmp_path):
    assert failures_of(wholes, tmp_path, "--only", "resealed", "--mutants", 200, "--deep-every", 20) == []


@pytest.mark.parametrize(
    ("plant", "mutants", "found"),
    [
        ("seal", 60, "it loads as something else"),
        ("eval", 1, "it opens a door: compile"),
        ("memory", 1, "bytes of memory for a file of"),
        ("hang", 1, "it hangs"),
        ("crash", 1, "the process ends with code -6"),
    ],
)
def test_a_weak_reader_is_found(wholes, tmp_path, plant, mutants, found):
    arguments = [
        "--only",
        "raw",
        "--plant",
        plant,
        "--mutants",
        mutants,
        "--seed",
        2,
        "--seconds",
        0.1,
        "--deep-every",
        0,
    ]
    failures = failures_of(wholes, tmp_path, *arguments)
    assert any(found in failure for failure in failures)


FORGED = {
    "recent_episodes": [[1.0, np.nan]],
    "counters/global_step": np.inf,
    "counters/update": -5,
    "counters/adam_step": -1,
    "environments/steps": np.nan,
    "environments/episodes": [np.nan, 1],
    "environments/rng_now": np.full((2, 6), -1),
    "normalizer/obs/count": [np.nan],
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_numbers_are_refused(wholes, tmp_path, name):
    whole = next(whole for whole in wholes if whole.name == "box")
    arrays, attributes = unpack(whole.data)
    arrays[name] = np.array(FORGED[name])
    (tmp_path / "forged.h5").write_bytes(pack(arrays, attributes))
    with pytest.raises(UserError):
        PPO.load(tmp_path / "forged.h5")


@pytest.mark.parametrize("setting", [{"gamma": 10**400}, {"num_envs": 10**30}, {"num_steps": 10**12}], ids=str)
def test_forged_settings_are_refused(wholes, tmp_path, setting):
    arrays, attributes = unpack(wholes[0].data)
    attributes["config"] = json.dumps(json.loads(attributes["config"]) | setting)
    (tmp_path / "forged.h5").write_bytes(pack(arrays, attributes))
    with pytest.raises(UserError):
        PPO.load(tmp_path / "forged.h5")


def test_help_says_what_it_does():
    shown = subprocess.run([sys.executable, FUZZ / "run.py", "--help"], capture_output=True, text=True, check=True)
    assert "Fuzz the reading of checkpoints and crash files" in shown.stdout
