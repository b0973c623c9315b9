"""Checkpoint files: readable, whole or not there, and refused in one sentence when they are something else."""

import hashlib
import json
from dataclasses import replace
from importlib import metadata

import gymnasium
import h5py
import numpy as np
import pytest

from ppo_np import PPO, PPOConfig, UserError
from ppo_np.evaluation.playback import evaluate
from ppo_np.saving.checkpoint import library_versions, previous_of, read_checkpoint, write_checkpoint
from ppo_np.saving.hdf5 import MAGIC, pack, unpack

SMALL = PPOConfig(
    env_id="CartPole-v1", total_timesteps=64, num_envs=2, num_steps=16, shared_sizes=(8,), policy_sizes=(6,), seed=3
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "c.h5"
    ppo = PPO(SMALL).learn()
    ppo.save(path)
    return ppo, path


def test_everything_comes_back(trained):
    ppo, path = trained
    loaded = PPO.load(path)
    assert loaded.config == SMALL
    for name, array in ppo.state.optimizer.arrays().items():
        assert np.array_equal(loaded.state.optimizer.arrays()[name], array) and array.any()
    assert np.array_equal(loaded.policy.model.params, ppo.policy.model.params)
    assert (loaded.update, loaded.global_step, loaded.state.optimizer.steps) == (2, 64, 32)
    for name in ("action_rng", "minibatch_rng", "predict_rng"):
        assert loaded.state.rngs[name].bit_generator.state == ppo.state.rngs[name].bit_generator.state
    obs = np.random.default_rng(0).standard_normal((20, 4))
    assert np.array_equal(loaded.predict(obs), ppo.predict(obs))


def test_the_file_reads_like_a_description_of_the_network(trained):
    """With h5py alone, which needs no help from us."""
    ppo, path = trained
    with h5py.File(path) as file:
        assert file.attrs["format"] == "ppo_np checkpoint"
        assert file.attrs["complete"] == 1
        assert json.loads(file.attrs["config"])["env_id"] == "CartPole-v1"
        assert set(json.loads(file.attrs["versions"])) == {"python", "numpy", "numba", "scipy", "gymnasium", "h5py"}
        m, v = ppo.state.optimizer.m, ppo.state.optimizer.v
        for group, flat in {"parameters": ppo.policy.model.params, "adam/m": m, "adam/v": v}.items():
            for name, tensor in ppo.policy.model.named(flat).items():
                assert np.array_equal(file[group][name], tensor)
                digest = hashlib.sha256(file[group][name][()].tobytes()).hexdigest()
                assert file[group][name].attrs["sha256"].decode() == digest
        assert file["parameters/policy/head/weight"].shape == (6, 2)
        assert file["counters/global_step"][()] == 64
        assert file["environments/obs"].shape == (2, 4)


NORMALIZED = PPOConfig(
    env_id="Pendulum-v1", total_timesteps=64, num_envs=2, num_steps=16, shared_sizes=(8,), norm_obs=True,
    norm_reward=True,
)  # fmt: skip


def test_the_statistics_of_the_normalisation_come_back(tmp_path):
    ppo = PPO(NORMALIZED).learn()
    ppo.save(tmp_path / "c.h5")
    loaded = PPO.load(tmp_path / "c.h5")
    np.testing.assert_equal(loaded.policy.obs_moments.arrays(), ppo.policy.obs_moments.arrays())
    np.testing.assert_equal(loaded.reward_scaler.arrays(), ppo.reward_scaler.arrays())
    assert loaded.policy.obs_moments.count == loaded.reward_scaler.moments.count == 64
    obs = np.random.default_rng(0).standard_normal((20, 3), np.float32)
    assert np.array_equal(loaded.predict(obs), ppo.predict(obs))
    with h5py.File(tmp_path / "c.h5") as file:
        assert sorted(file["normalizer/obs"]) == ["count", "mean", "variance"]
        assert sorted(file["normalizer/reward"]) == ["count", "mean", "running", "variance"]
        assert file["parameters/policy/log_std"].shape == (1,)


def test_an_action_mask_comes_back(trained, tmp_path):
    ppo, _ = trained
    checkpoint = ppo.resume_point.checkpoint(ppo.config, ppo.ranks)
    assert checkpoint.environments.action_mask is None
    record = replace(checkpoint.environments, action_mask=np.array([[1, 0], [0, 1]], np.int8))
    write_checkpoint(tmp_path / "c.h5", replace(checkpoint, environments=record))
    again = read_checkpoint(tmp_path / "c.h5").environments
    np.testing.assert_equal(again.arrays(), record.arrays())
    assert again.action_mask.dtype == np.int8


def test_the_largest_seed_comes_back(tmp_path):
    config = replace(SMALL, seed=2**63 - 3)
    PPO(config).learn().save(tmp_path / "c.h5")
    loaded = PPO.load(tmp_path / "c.h5")
    assert (loaded.config.seed, loaded.lost_envs) == (2**63 - 3, [])


def test_missing_statistics_are_refused(tmp_path):
    PPO(NORMALIZED).save(tmp_path / "c.h5")
    path = change(tmp_path / "c.h5", tmp_path, lambda arrays, _: arrays.pop("normalizer/obs/mean"))
    with pytest.raises(UserError, match="only one of them has the tensor obs/mean"):
        PPO.load(path)


def test_a_file_of_an_older_format_is_refused(tmp_path):
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["format_version"] = 2
    with pytest.raises(UserError, match=r"it is HDF5 without our seal; formats before 3 had none\.$"):
        PPO.load(tmp_path / "old.h5")


def test_an_environment_without_an_id_has_to_be_given_again(tmp_path):
    def make():
        return gymnasium.make("CartPole-v1")

    ppo = PPO(SMALL, make).learn()
    ppo.save(tmp_path / "c.h5")
    with pytest.raises(UserError, match=r"was trained on an env without an id: give that env to load\.$"):
        PPO.load(tmp_path / "c.h5")
    with pytest.raises(UserError, match=r"was trained on an env without an id: name one with --env-id\.$"):
        evaluate(tmp_path / "c.h5", 1, 0)
    assert np.array_equal(PPO.load(tmp_path / "c.h5", make).policy.model.params, ppo.policy.model.params)
    assert evaluate(tmp_path / "c.h5", 2, 0, env_id="CartPole-v1")["episodes"] == 2


def test_the_versions_are_looked_up_once(monkeypatch):
    """The look-up takes milliseconds, and each checkpoint of each rank needs them."""
    first = library_versions()
    monkeypatch.setattr(metadata, "distribution", None)  # it would fail
    again = library_versions()
    assert again == first and again is not first


def test_no_temporary_file_is_left(trained):
    _, path = trained
    assert [entry.name for entry in path.parent.iterdir()] == ["c.h5"]


def test_a_failed_write_leaves_the_old_file(trained, tmp_path, monkeypatch):
    ppo, _ = trained
    path = tmp_path / "c.h5"
    ppo.save(path)
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        ppo.save(path, keep_previous=True)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["c.h5"]


def test_a_missing_file():
    with pytest.raises(UserError, match=r"checkpoint is 'nope.h5', but there is no such file"):
        PPO.load("nope.h5")


def change(path, tmp_path, edit):
    """A copy with other arrays or attributes and with a seal that is right."""
    arrays, attributes = unpack(path.read_bytes())
    edit(arrays, attributes)
    copy = tmp_path / "copy.h5"
    copy.write_bytes(pack(arrays, attributes))
    return copy


def put(name, value):
    """An edit of the arrays, or of the attributes."""

    def edit(arrays, attributes):
        (arrays if isinstance(value, np.ndarray) else attributes)[name] = value

    return edit


def leave_out(name):
    def edit(arrays, attributes):
        del (arrays if name in arrays else attributes)[name]

    return edit


def of_config(**settings):
    return put("config", json.dumps(SMALL.to_dict() | settings))


ODD_NAMES = ["more/odd", "\x1b[2J", "a/\nb", "x" * 10_000]


@pytest.mark.parametrize("name", ODD_NAMES, ids=range(4))
def test_arrays_of_names_that_no_run_writes_are_ignored(trained, tmp_path, name):
    ppo, path = trained
    loaded = PPO.load(change(path, tmp_path, put(name, np.zeros(1))))
    assert np.array_equal(loaded.policy.model.params, ppo.policy.model.params)


@pytest.mark.parametrize("name", ODD_NAMES, ids=range(4))
@pytest.mark.parametrize(
    ("group", "value"), [("parameters/", 0.0), ("adam/m/", 0.0), ("normalizer/", 0.0), ("", np.nan)]
)
def test_an_odd_name_is_shown_in_one_short_line(trained, tmp_path, group, value, name):
    with pytest.raises(UserError) as caught:
        PPO.load(change(trained[1], tmp_path, put(group + name, np.full(1, value))))
    assert str(caught.value).isprintable() and len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (put("format", "other"), "that is not a ppo_np checkpoint"),
        (leave_out("format"), "that is not a ppo_np checkpoint"),
        (put("format_version", 99), "has format 99, but only 3 can be read"),
        (put("format_version", "3\n"), r"has format '3\\n', but only 3 can be read"),
        (leave_out("config"), "cannot be read"),
        (put("config", "{"), "cannot be read"),
        (put("config", "[]"), "cannot be read"),
        (put("config", "[" * 10_000), "cannot be read"),
        (put("versions", "1"), "cannot be read"),
        (put("rng", '{"action_rng": 1, "minibatch_rng": 2, "predict_rng": 3}'), "no usable state of action_rng"),
        (put("rng", "{}"), "cannot be read"),
        (of_config(gamma=2), "gamma is 2"),
        (of_config(shared_sizes=[10**7]), "shared/0 is not as wide as the settings say"),
        (of_config(value_sizes=[6]), "cannot be read as a checkpoint: 'value/0/bias'"),
        (of_config(num_envs=4), "is for 2 environments, but the settings say 4"),
        (leave_out("adam/m/shared/0/weight"), "only one of them has the tensor adam/m/shared/0/weight"),
        (leave_out("parameters/value/head/bias"), "only one of them has the tensor value/head/bias"),
        (leave_out("counters/update"), "cannot be read"),
        (put("counters/update", np.zeros(2)), "cannot be read"),
        (put("recent_episodes", np.zeros(3)), "cannot be read"),
        (leave_out("environments/seeds"), "arrays of environments are missing"),
        (put("environments/seeds", np.zeros(3, int)), "arrays of environments have different lengths"),
        (put("environments/seeds", np.zeros(2)), "arrays of environments are of other types"),
        (put("environments/rng_now", np.zeros((2, 5), np.uint64)), "arrays of environments have different lengths"),
        (put("environments/actions", np.zeros(1)), "actions are not as many as their steps"),
        (put("environments/lengths", np.array([-1, 1])), "numbers of steps of environments are negative"),
        (put("parameters/shared/0/weight", np.zeros((8, 8), np.float32)), r"\(8, 8\) \(float32\), but it must be \(4,"),
        (put("adam/m/shared/0/weight", np.zeros((4, 8))), r"\(4, 8\) \(float64\), but it must be \(4, 8\) \(float32\)"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused(trained, tmp_path, edit, message):
    with pytest.raises(UserError, match=message):
        PPO.load(change(trained[1], tmp_path, edit))


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", MAGIC, MAGIC + bytes(1000)])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "x.h5"
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        read_checkpoint(path)


def test_a_cut_file_is_refused(trained, tmp_path):
    path = tmp_path / "cut.h5"
    path.write_bytes(trained[1].read_bytes()[:-500])
    with pytest.raises(UserError, match="it is damaged: its bytes do not match its seal"):
        read_checkpoint(path)


def test_the_one_before_is_kept(trained, tmp_path):
    ppo, path = PPO(SMALL), tmp_path / "c.h5"
    updates = []

    def save(ppo, _):
        ppo.save(path, keep_previous=True)
        files = (previous_of(path), path)
        updates.append([read_checkpoint(file).counters["update"] for file in files if file.exists()])

    ppo.learn(save)
    assert updates == [[1], [1, 2]]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["c.h5", "c.prev.h5"]


def test_saving_in_the_midst_of_a_rollout_saves_its_beginning(tmp_path):
    whole = PPO(SMALL).learn()
    ppo = PPO(SMALL)
    step, calls = ppo.stream.step, []
    ppo.stream.step = lambda actions: (calls.append(1), len(calls) == 21 and ppo.stop(), step(actions))[-1]
    ppo.learn()
    assert (ppo.update, ppo._report.filled) == (1, 5)
    ppo.save(tmp_path / "c.h5")
    loaded = PPO.load(tmp_path / "c.h5").learn()
    assert np.array_equal(loaded.policy.model.params, whole.policy.model.params)
    assert np.array_equal(ppo.learn().policy.model.params, whole.policy.model.params)


def test_after_an_exception_in_the_epochs_the_environments_are_left_out(tmp_path, monkeypatch):
    ppo = PPO(SMALL)
    monkeypatch.setattr(ppo.state.optimizer, "step", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ppo.learn()
    assert not ppo.resumable
    ppo.save(tmp_path / "c.h5")
    assert read_checkpoint(tmp_path / "c.h5").environments is None
    with pytest.warns(RuntimeWarning, match="^environments 0, 1 could not be restored"):
        loaded = PPO.load(tmp_path / "c.h5")
    assert loaded.learn().global_step == 64
