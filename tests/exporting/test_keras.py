"""Keras' weights: written, read back, and the same in Keras itself, if it is installed.

Keras is in the extra `keras`: without it the tests with it are skipped, unless PPO_NP_REQUIRE_KERAS is set.
"""

import importlib.util
import io
import os

import h5py
import numpy as np
import pytest
from policies import OF_ENVIRONMENTS, of_spaces, save

from ppo_np import PPO
from ppo_np.errors import UserError
from ppo_np.exporting import keras_weights
from ppo_np.exporting.arrays import arrays_of
from ppo_np.exporting.export import export, read_source
from ppo_np.saving.keras_file import read_keras_weights, tensors_of


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("keras") / "checkpoint.h5"
    return read_source(save(OF_ENVIRONMENTS["CartPole"], path))


def test_what_was_written_comes_back(source, tmp_path):
    export(source, tmp_path / "policy.weights.h5")
    tensors = read_keras_weights(tmp_path / "policy.weights.h5")
    model = source.policy.model
    assert list(tensors) == list(model.shapes)
    for name, tensor in model.named(model.params).items():
        assert tensors[name].dtype == np.float32
        np.testing.assert_array_equal(tensors[name], tensor)


def test_a_new_run_begins_with_the_file(source, tmp_path):
    export(source, tmp_path / "policy.weights.h5")
    ppo = PPO(OF_ENVIRONMENTS["CartPole"], init_from=tmp_path / "policy.weights.h5")
    np.testing.assert_array_equal(ppo.policy.model.params, source.policy.model.params)
    ppo.close()
    (tmp_path / "policy.weights.h5").write_bytes(b"nothing")
    with pytest.raises(
        UserError, match=r"^init_from is .*policy\.weights\.h5', but it cannot be read: it is not a whole"
    ):
        PPO(OF_ENVIRONMENTS["CartPole"], init_from=tmp_path / "policy.weights.h5")


def test_a_network_without_hidden_layers_comes_back():
    arrays = arrays_of(of_spaces("no layers").policy)
    tensors = tensors_of(keras_weights.encode(arrays, "x"))
    assert list(tensors) == ["policy/head/weight", "policy/head/bias", "value/head/weight", "value/head/bias"]


def broken(source, change):
    """The bytes of a file to which something was done."""
    memory = io.BytesIO(keras_weights.encode(arrays_of(source.policy), "x"))
    with h5py.File(memory, "r+") as file:
        change(file)
    return memory.getvalue()


def replaced(path, make):
    def change(file):
        del file[path]
        make(file, path)

    return change


BIAS = "layers/dense_1/vars/1"
CHANGES = {
    "missing": (replaced(BIAS, lambda file, path: None), f"it has no {'dense_1/vars/1'}, as weights of Keras 3"),
    "no layers": (replaced("layers", lambda file, path: None), "it has no layers, as weights of Keras 3"),
    "soft link": (
        replaced(BIAS, lambda file, path: file.__setitem__(path, h5py.SoftLink("/layers/dense/vars/1"))), "it has no"
    ),
    "external link": (
        replaced(BIAS, lambda file, path: file.__setitem__(path, h5py.ExternalLink("/etc/x.h5", "/x"))), "it has no"
    ),
    "doubles": (replaced(BIAS, lambda file, path: file.__setitem__(path, np.zeros(16))), "not an array of float32"),
    "not finite": (
        replaced(BIAS, lambda file, path: file.__setitem__(path, np.full(16, np.nan, np.float32))), "is not finite"
    ),
    "huge and empty": (
        replaced(BIAS, lambda file, path: file.create_dataset(path, (2**40,), "f4", chunks=(1024,))), "uncompressed"
    ),
    "too short": (replaced(BIAS, lambda file, path: file.__setitem__(path, np.zeros(3, "f4"))), "which do not fit"),
    "a number": (replaced(BIAS, lambda file, path: file.__setitem__(path, np.float32(3))), "which do not fit"),
    "a group": (replaced(BIAS, lambda file, path: file.create_group(path)), "is something else"),
    "other layers": (lambda file: file.create_group("layers/conv2d/vars"), "not dense layers and two heads alone"),
    "one layer": (
        lambda file: [file.__delitem__(f"layers/dense{end}") for end in ("_1", "_2", "_3")], "two heads alone"
    ),
    "another value head": (
        lambda file: file.move("layers/dense_2", "layers/x") or file.move("layers/dense_3", "layers/dense_2")
        or file.move("layers/x", "layers/dense_3"), "value/head has the shapes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_another_file_is_refused_in_one_sentence(source, tmp_path, what):
    change, message = CHANGES[what]
    (tmp_path / "x.weights.h5").write_bytes(broken(source, change))
    with pytest.raises(UserError, match=r"^weights is .*x\.weights\.h5', but [^\n]*\.$") as raised:
        read_keras_weights(tmp_path / "x.weights.h5")
    assert message in str(raised.value)


def test_a_file_that_cannot_be_read_is_refused(source, tmp_path):
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_keras_weights(tmp_path / "x.weights.h5")
    (tmp_path / "x.weights.h5").write_bytes(broken(source, lambda file: None)[:3000])
    with pytest.raises(UserError, match="it is not a whole HDF5 file"):
        read_keras_weights(tmp_path / "x.weights.h5")


@pytest.mark.export
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras with jax
def test_keras_loads_the_file_and_writes_one_that_comes_back(source, tmp_path, monkeypatch):
    if importlib.util.find_spec("keras") is None and not os.environ.get("PPO_NP_REQUIRE_KERAS"):
        pytest.skip("keras is not installed")
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "jax"))
    monkeypatch.chdir(tmp_path)
    report = export(source, tmp_path / "policy.weights.h5")
    program = {}
    exec(report.usage, program)  # the article's create_model, which loads the file
    model = program["model"]
    obs = np.random.default_rng(0).normal(size=(10_000, 4)).astype(np.float32)
    logits, values = map(np.asarray, model(obs))
    expected = source.policy.distribution(obs)["logits"]
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(values[:, 0], source.policy.value(obs), rtol=1e-5, atol=1e-5)
    assert (np.argmax(logits, axis=1) == source.policy.predict(obs)).mean() > 0.9999
    model.save_weights("again.weights.h5")
    again = read_keras_weights("again.weights.h5")
    for name, tensor in report.arrays.tensors.items():
        np.testing.assert_array_equal(again[name], tensor)
