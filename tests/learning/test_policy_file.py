"""Loading a policy makes no environment, imports nothing of the user's, and acts as the `PPO` that was saved."""

import importlib
import io
import json
import pickle
import sys
from contextlib import closing

import gymnasium
import numpy as np
import pytest
import sample_environments  # noqa: F401  registers the test environments
from gymnasium import spaces

from ppo_np import PPO, PPOConfig, load_policy
from ppo_np.errors import UserError
from ppo_np.saving.hdf5 import pack, unpack

CONFIG = PPOConfig(
    env_id="", num_envs=2, num_steps=8, num_minibatches=1, update_epochs=1, total_timesteps=16, shared_sizes=(8,),
    norm_obs=True,
)  # fmt: skip


class OwnBox(spaces.Box):
    """A space that only this module has."""


class OwnEnv(gymnasium.Env):
    """Two numbers and a choice; three kinds of actions."""

    def __init__(self, action_space):
        self.observation_space = spaces.Dict(numbers=OwnBox(-9, 9, (2,)), choice=spaces.Discrete(3, start=1))
        self.action_space = action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._obs(), {}

    def step(self, action):
        self.steps += 1
        return self._obs(), 1.0, self.steps == 5, False, {}

    def _obs(self):
        return {"numbers": self.np_random.uniform(-9, 9, 2).astype(np.float32), "choice": self.np_random.integers(1, 4)}


def saved(folder, action_space, **settings):
    """A trained `PPO`, closed, and its file."""
    ppo = PPO(PPOConfig(**{**CONFIG.to_dict(), **settings}), lambda: OwnEnv(action_space)).learn()
    with closing(ppo):
        ppo.save(folder / "checkpoint.h5")
    return ppo, folder / "checkpoint.h5"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("run"), spaces.Discrete(4, start=2))


OBS = {
    "numbers": np.random.default_rng(0).uniform(-9, 9, (30, 2)).astype(np.float32),
    "choice": np.tile([1, 2, 3], 10),
}


@pytest.mark.parametrize(
    ("action_space", "settings"),
    [
        (spaces.MultiDiscrete([[2, 3]], start=[[1, -1]]), {}),
        (spaces.MultiBinary(3), {}),
        (OwnBox(np.float32([-1, 2]), np.float32([3, 2.5])), {"action_distribution": "beta"}),
        (OwnBox(np.float32([-1, 2]), np.float32([3, np.inf])), {}),
    ],
    ids=str,
)
def test_it_acts_as_the_saved_one(tmp_path, action_space, settings):
    ppo, _ = saved(tmp_path, action_space, **settings)
    policy = load_policy(tmp_path, seed=3)
    for deterministic in (True, False):
        expected = ppo.policy.predict(OBS, deterministic, rng=np.random.default_rng(3))
        assert np.array_equal(policy.predict(OBS, deterministic), expected)
    assert np.array_equal(policy.value(OBS), ppo.policy.value(OBS))
    assert type(policy.observations.space["numbers"]) is spaces.Box
    assert policy.actions.space == action_space


def test_no_environment_is_made(trained, monkeypatch):
    monkeypatch.setattr(gymnasium, "make", None)
    monkeypatch.setattr(OwnEnv, "__init__", None)
    ppo, file = trained
    for path in (file, str(file), file.parent):
        policy = load_policy(path)
        assert np.array_equal(policy.predict(OBS), ppo.policy.predict(OBS))
    assert repr(policy).startswith("<Policy: an environment without an id, Dict('numbers': Box(-9.0, 9.0, (2,)")


def test_a_seed_repeats_the_actions(trained):
    first, second, other = (load_policy(trained[1], seed=seed).predict(OBS, False).tolist() for seed in (1, 1, 2))
    assert first == second != other
    fresh = [load_policy(trained[1]).predict(OBS, False).tolist() for _ in range(2)]
    assert fresh[0] != fresh[1]


FOREIGN = """
import gymnasium

gymnasium.register("ppo_np_test/OfAFile-v0", "gymnasium.envs.classic_control:CartPoleEnv")


class Same(gymnasium.Wrapper):
    pass


class Factor:
    def __call__(self, left):
        return left
"""


def test_nothing_that_the_file_names_is_imported(tmp_path, monkeypatch):
    """Neither by loading the file, nor by unpickling the policy."""
    (tmp_path / "foreign_file.py").write_text(FOREIGN)
    monkeypatch.syspath_prepend(tmp_path)
    names = {"env_id": "foreign_file:ppo_np_test/OfAFile-v0", "wrappers": ("foreign_file:Same",)}
    factor = importlib.import_module("foreign_file").Factor()
    with closing(PPO(PPOConfig(**names, shared_sizes=(4,), learning_rate_schedule=factor))) as ppo:
        ppo.save(tmp_path / "c.h5")
    for used in (load_policy(tmp_path / "c.h5", seed=0), ppo.policy):
        del sys.modules["foreign_file"]
        again = pickle.loads(pickle.dumps(used))
        assert "foreign_file" not in sys.modules
        sys.modules["foreign_file"] = None
    gymnasium.registry.pop("ppo_np_test/OfAFile-v0")
    obs = np.ones((9, 4), np.float32)
    assert again.predict(obs).tolist() == ppo.predict(obs).tolist()
    expected = "foreign_file:ppo_np_test/OfAFile-v0, Box(4,) -> Discrete(2), Categorical, shared [4], relu"
    assert repr(again) == f"<Policy: {expected}, 35 parameters>"


class Listing(pickle.Unpickler):
    """Notes where what it makes comes from."""

    def __init__(self, data):
        super().__init__(io.BytesIO(data))
        self.modules = set()

    def find_class(self, module, name):
        self.modules.add(name if module == "builtins" else module.split(".")[0])
        return super().find_class(module, name)


def test_a_pickle_names_only_known_modules(trained):
    policy = load_policy(trained[1], seed=0)
    policy.predict(OBS)
    unpickler = Listing(pickle.dumps(policy))
    again = unpickler.load()
    assert unpickler.modules == {"ppo_np", "numpy", "gymnasium", "functools", "slice"}
    assert np.array_equal(again.predict(OBS, False), policy.predict(OBS, False))
    assert repr(again) == repr(policy)


def forged(trained, folder, change):
    arrays, attributes = unpack(trained[1].read_bytes())
    document = json.loads(arrays["spaces"].tobytes())
    arrays["spaces"] = np.frombuffer(change(document), np.uint8)
    (folder / "forged.h5").write_bytes(pack(arrays, attributes))
    return folder / "forged.h5"


def with_observation(observation):
    return lambda document: json.dumps(document | {"observation": observation}).encode()


FORGED = [
    with_observation({"kind": "Box", "shape": [2**40], "dtype": "float32", "low": 0.0, "high": 1.0}),
    with_observation({"kind": "Discrete", "n": 4, "start": 0}),
    with_observation({"kind": "Graph"}),
    with_observation(7),
    lambda document: json.dumps({"observation": document["observation"]}).encode(),
    lambda document: b"7",
]


@pytest.mark.parametrize("change", FORGED)
def test_forged_spaces_are_refused(trained, tmp_path, change):
    path = forged(trained, tmp_path, change)
    with pytest.raises(UserError, match=r"^checkpoint is '.*forged.h5', but its spaces cannot be read: "):
        load_policy(path)


def test_bytes_that_are_no_json(trained, tmp_path):
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        load_policy(forged(trained, tmp_path, lambda document: b"\xff"))


def test_a_file_without_spaces_needs_them(trained, tmp_path):
    """As those that were written before spaces were saved; they load and continue as before."""
    ppo, file = trained
    arrays, attributes = unpack(file.read_bytes())
    del arrays["spaces"]
    (tmp_path / "old.h5").write_bytes(pack(arrays, attributes))
    with pytest.raises(UserError, match=r"does not say which spaces its policy is for: give spaces=\(observation_sp"):
        load_policy(tmp_path / "old.h5")
    given = ppo.policy.observations.space, ppo.policy.actions.space
    policy = load_policy(tmp_path / "old.h5", spaces=given)
    assert np.array_equal(policy.predict(OBS), ppo.policy.predict(OBS))
    with pytest.raises(UserError, match="does not fit the environment: shared/0/weight has shape"):
        load_policy(tmp_path / "old.h5", spaces=(spaces.Discrete(2), given[1]))
    with closing(PPO.load(tmp_path / "old.h5", lambda: OwnEnv(given[1]))) as again:
        again.save(tmp_path / "new.h5")
    assert np.array_equal(load_policy(tmp_path / "new.h5").predict(OBS), ppo.policy.predict(OBS))


@pytest.mark.parametrize("path", ["nowhere", "nowhere.h5", "."])
def test_there_must_be_a_file(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^checkpoint is '.*', but there is no such file"):
        load_policy(path)
