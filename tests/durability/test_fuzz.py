"""A few hundred of the mutants of `python tests/durability/fuzz/run.py`, and that it finds planted faults."""

import json
import subprocess
import sys
from pathlib import Path

import commands
import numpy as np
import pytest

from ppo_np import PPO, UserError
from ppo_np.evaluate import main as evaluate
from ppo_np.replay import main as replay
from ppo_np.saving.hdf5 import pack, unpack
from ppo_np.train import main as train

FUZZ = Path(__file__).parent / "fuzz"
sys.path.insert(0, str(FUZZ))

import originals  # noqa: E402
import run as fuzz  # noqa: E402

pytestmark = pytest.mark.faults

sys.path.remove(str(FUZZ))


@pytest.fixture(scope="module")
def wholes(tmp_path_factory):
    return originals.make(tmp_path_factory.mktemp("wholes"))


def failures_of(wholes, folder, *arguments):
    counts, failures = fuzz.fuzz(wholes, folder, fuzz.parse(list(map(str, arguments))))
    assert len(failures) == sum(verdicts["failed"] for verdicts in counts.values())
    return failures


def test_damaged_files_are_refused_or_load_equal(wholes, tmp_path):
    assert failures_of(wholes, tmp_path, "--only", "raw", "--mutants", 100, "--deep-every", 20) == []


def test_forged_files_do_no_harm(wholes, tmp_path):
    assert failures_of(wholes, tmp_path, "--only", "resealed", "--mutants", 100, "--deep-every", 20) == []


@pytest.mark.parametrize(
    ("plant", "mutants", "found"),
    [
        ("seal", 400, "it loads as something else"),
        ("eval", 1, "it opens a door: compile"),
        ("memory", 1, "bytes of memory for a file of"),
        ("hang", 1, "it hangs"),
        ("crash", 1, "the process ends with code -6"),
    ],
)
def test_a_weak_reader_is_found(wholes, tmp_path, plant, mutants, found):
    arguments = ["--only", "raw", "--plant", plant, "--mutants", mutants]
    arguments += ["--seed", 2, "--seconds", 0.1, "--deep-every", 0]
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


FORGED_SETTINGS = [
    {"gamma": 10**400}, {"num_envs": 10**30}, {"num_steps": 10**12}, {"total_timesteps": 10**399}, {"seed": 2**63},
    {"update_epochs": 10**9}, {"env_timeout": 1e-300}, {"threads": 10**9}, {"env_id": ":x"}, {"env_id": ".:x"},
    {"env_id": "a..b:x"}, {"env_id": "..:x"}, {"env_id": "a:"}, {"env_id": "a:b:c"}, {"env_id": "\x1b[2J"},
    {"env_id": "\x1b[2J:x"}, {"env_id": "x\ny-v0"}, {"env_id": "\ud800"}, {"\x1b[2J": 1}, {"\n" * 999: 1},
]  # fmt: skip


def refusal(arrays, attributes, folder, read=PPO.load):
    """The message of a file of these arrays and attributes, which must be fit for a terminal."""
    (folder / "forged.h5").write_bytes(pack(arrays, attributes))
    with pytest.raises(UserError) as refused:
        read(folder / "forged.h5")
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 2000
    return str(refused.value)


@pytest.mark.filterwarnings("ignore:the environment of checkpoint")  # imports what the forged setting names
@pytest.mark.parametrize("setting", FORGED_SETTINGS, ids=range(len(FORGED_SETTINGS)))
def test_forged_settings_are_refused(wholes, tmp_path, setting):
    arrays, attributes = unpack(wholes[0].data)
    attributes["config"] = json.dumps(json.loads(attributes["config"]) | setting)
    refusal(arrays, attributes, tmp_path)


def test_so_many_environments_that_no_one_waits_for_them_are_refused(wholes, tmp_path):
    arrays, attributes = unpack(wholes[0].data)
    arrays = {name: array for name, array in arrays.items() if not name.startswith("environments/")}
    attributes["config"] = json.dumps(json.loads(attributes["config"]) | {"num_envs": 2**20, "num_minibatches": 1})
    assert "num_envs is 1048576, but it must be at most 2**16" in refusal(arrays, attributes, tmp_path)


STATES = [None, -1, 2, 1.5, "x", [], {}, 2**32, 2**64, 2**128, 10**400]


@pytest.mark.parametrize("name", ["action_rng", "minibatch_rng", "predict_rng"])
def test_forged_states_of_generators_are_refused(wholes, tmp_path, name):
    arrays, attributes = unpack(wholes[0].data)
    for key in ("has_uint32", "uinteger", "state", "bit_generator"):
        for value in STATES:
            rng = json.loads(attributes["rng"])
            rng[name][key] = value
            if (key, value) in (("uinteger", 2), ("has_uint32", -1), ("has_uint32", 2)):
                continue  # which NumPy takes and gives back
            message = refusal(arrays, attributes | {"rng": json.dumps(rng)}, tmp_path)
            assert message.endswith(f"has no usable state of {name}.")


@pytest.mark.parametrize(("name", "column"), [(n, c) for n in ("rng_then", "rng_now") for c in (4, 5)])
def test_forged_states_of_the_environments_generators_are_refused(wholes, tmp_path, name, column):
    arrays, attributes = unpack(next(whole for whole in wholes if whole.name == "box").data)
    for value in (2**32, 2**64 - 1):
        words = arrays[f"environments/{name}"].copy()
        words[1, column] = value
        message = refusal(arrays | {f"environments/{name}": words}, attributes, tmp_path)
        assert message.endswith("states of generators of environments are of another form")


CODES = "\x1b[2J\x9b31m\x07\r\n\u202e"


def test_whatever_is_shown_of_a_forged_file_is_printable(wholes, tmp_path, capsys):
    """Versions, ids, names of tensors, rows of a crash: through the commands that print them."""
    for whole in wholes:
        arrays, attributes = unpack(whole.data)
        for name in ("config", "rng", "versions", "head"):
            if name in attributes:
                attributes[name] = json.dumps(json.loads(attributes[name]) | {"odd": CODES} if name != "config" else
                                              json.loads(attributes[name]) | {"env_id": CODES})  # fmt: skip
        attributes["versions"] = json.dumps({"numpy": CODES, CODES: "1"})
        attributes |= {"what": CODES, "during": "environment"}
        arrays |= {f"rows/{CODES}": np.array([np.nan]), f"adam/{CODES}/x": np.zeros(1)}
        (tmp_path / "forged.h5").write_bytes(pack(arrays, attributes))
        for main in (evaluate, replay):
            commands.run(main, tmp_path / "forged.h5")
        commands.run(train, "--resume", tmp_path / "forged.h5", "--run-dir", tmp_path / "run")
        captured = capsys.readouterr()
        shown = captured.out + captured.err
        assert "\\x1b[2J" in shown, shown
        assert all(character.isprintable() or character == "\n" for character in shown)
        assert "Traceback" not in shown


def test_versions_of_a_forged_checkpoint_are_shown_with_escapes(wholes, tmp_path, capsys):
    arrays, attributes = unpack(next(whole for whole in wholes if whole.name == "box").data)
    attributes["versions"] = json.dumps(json.loads(attributes["versions"]) | {"numpy": CODES})
    (tmp_path / "forged.h5").write_bytes(pack(arrays, attributes))
    commands.run(train, "--resume", tmp_path / "forged.h5", "--run-dir", tmp_path / "run", "--total-timesteps", 1)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: numpy was ")]
    assert len(lines) == 1
    assert lines[0].isprintable()
    assert "\\x1b[2J" in lines[0]


def test_help_says_what_it_does():
    shown = subprocess.run([sys.executable, FUZZ / "run.py", "--help"], capture_output=True, text=True, check=True)
    assert "Fuzz the reading of checkpoints and crash files" in shown.stdout
