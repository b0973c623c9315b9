"""Checkpoint files: readable, whole or not there, and refused in one sentence when they are something else."""

import json

import gymnasium
import h5py
import numpy as np
import pytest

from ppo_np import PPO, PPOConfig, UserError
from ppo_np.checkpoint import read_checkpoint
from ppo_np.playback import evaluate

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
    for name in ("m", "v"):
        assert np.array_equal(getattr(loaded, name), getattr(ppo, name))
        assert getattr(loaded, name).any()
    assert np.array_equal(loaded.model.params, ppo.model.params)
    assert (loaded.update, loaded.global_step, loaded.adam_step) == (2, 64, 32)
    for name in ("action_rng", "minibatch_rng"):
        assert getattr(loaded, name).bit_generator.state == getattr(ppo, name).bit_generator.state
    obs = np.random.default_rng(0).standard_normal((20, 4))
    assert np.array_equal(loaded.predict(obs), ppo.predict(obs))


def test_the_file_reads_like_a_description_of_the_network(trained):
    ppo, path = trained
    with h5py.File(path) as file:
        assert file.attrs["format"] == "ppo_np checkpoint"
        assert json.loads(file.attrs["config"])["env_id"] == "CartPole-v1"
        assert set(json.loads(file.attrs["versions"])) == {"python", "numpy", "numba", "gymnasium", "h5py"}
        for group in ("parameters", "adam/m", "adam/v"):
            shapes = {name: file[group][name].shape for name in ppo.model.shapes}
            assert shapes == ppo.model.shapes
        assert file["parameters/policy/head/weight"].shape == (6, 2)


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
        assert sorted(file["normalizer/obs"]) == sorted(file["normalizer/reward"]) == ["count", "mean", "variance"]
        assert file["parameters/policy/log_std"].shape == (1,)


def test_missing_statistics_are_refused(tmp_path):
    PPO(NORMALIZED).save(tmp_path / "c.h5")
    with h5py.File(tmp_path / "c.h5", "r+") as file:
        del file["normalizer/obs/mean"]
    with pytest.raises(UserError, match="only one of them has the tensor obs/mean"):
        PPO.load(tmp_path / "c.h5")


def test_a_file_of_format_1_loads(trained, tmp_path):
    def make_old(file):
        file.attrs["format_version"] = 1
        del file["normalizer"]

    path = change(trained[1], tmp_path, make_old)
    assert np.array_equal(PPO.load(path).model.params, trained[0].model.params)


def test_an_environment_without_an_id_has_to_be_given_again(tmp_path):
    def make():
        return gymnasium.make("CartPole-v1")

    ppo = PPO(SMALL, make).learn()
    ppo.save(tmp_path / "c.h5")
    with pytest.raises(UserError, match=r"was trained on an env without an id: give that env to load\.$"):
        PPO.load(tmp_path / "c.h5")
    with pytest.raises(UserError, match=r"was trained on an env without an id: name one with --env-id\.$"):
        evaluate(tmp_path / "c.h5", 1, 0)
    assert np.array_equal(PPO.load(tmp_path / "c.h5", make).model.params, ppo.model.params)
    assert evaluate(tmp_path / "c.h5", 2, 0, env_id="CartPole-v1")["episodes"] == 2


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
        ppo.save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["c.h5"]


def test_a_missing_file():
    with pytest.raises(UserError, match=r"checkpoint is 'nope.h5', but there is no such file"):
        PPO.load("nope.h5")


def change(path, tmp_path, edit):
    copy = tmp_path / "copy.h5"
    copy.write_bytes(path.read_bytes())
    with h5py.File(copy, "r+") as file:
        edit(file)
    return copy


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda file: file.attrs.__delitem__("complete"), "not a whole checkpoint"),
        (lambda file: file.attrs.__setitem__("format", "other"), "not a whole checkpoint"),
        (lambda file: file.attrs.__setitem__("format_version", 99), "has format 99"),
        (lambda file: file.attrs.__delitem__("config"), "cannot be read"),
        (lambda file: file.attrs.__setitem__("config", "{"), "cannot be read"),
        (lambda file: file.attrs.__setitem__("config", "[]"), "cannot be read"),
        (lambda file: file.attrs.__setitem__("rng", '{"action_rng": 1, "minibatch_rng": 2}'), "no usable state of"),
        (lambda file: file.attrs.__setitem__("config", '{"gamma": 2}'), "gamma is 2"),
        (lambda file: file.__delitem__("adam"), "cannot be read"),
        (lambda file: file.__delitem__("parameters/value/head/bias"), "only one of them has the tensor value/head/b"),
        (lambda file: file["counters"].attrs.__delitem__("update"), "cannot be read"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused(trained, tmp_path, edit, message):
    with pytest.raises(UserError, match=message):
        PPO.load(change(trained[1], tmp_path, edit))


@pytest.mark.parametrize("tensor", ["parameters/shared/0/weight", "adam/m/shared/0/weight"])
def test_a_tensor_of_another_shape_is_refused(trained, tmp_path, tensor):
    def edit(file):
        del file[tensor]
        file[tensor] = np.zeros((8, 8), np.float32)

    with pytest.raises(UserError, match=r"shared/0/weight has shape \(8, 8\) \(float32\), but it must be \(4, 8\)"):
        PPO.load(change(trained[1], tmp_path, edit))


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "x.h5"
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        read_checkpoint(path)


def test_a_cut_file_is_refused(trained, tmp_path):
    path = tmp_path / "cut.h5"
    path.write_bytes(trained[1].read_bytes()[:-500])
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        read_checkpoint(path)
