"""NaN and infinities put into a computation on purpose: small runs of each kind, and ways into them."""

import dataclasses
import functools
from contextlib import contextmanager, nullcontext

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from ppo_np import PPO, PPOConfig
from ppo_np.checking.crash_replay import recompute
from ppo_np.errors import DivergedError
from ppo_np.learning.rollout import RolloutReport
from ppo_np.network.tensor_trace import first_bad
from ppo_np.saving import crash_file

BAD = (np.nan, np.inf, -np.inf)
ACTIONS = {
    "Discrete": spaces.Discrete(3),
    "Box": spaces.Box(-1, 1, (2,), np.float32),
    "MultiDiscrete": spaces.MultiDiscrete([2, 3]),
    "MultiBinary": spaces.MultiBinary(3),
}
NETWORKS = {
    "shared relu": {"shared_sizes": (6, 5), "policy_sizes": (4,), "value_sizes": (3,), "activation": "relu"},
    "separate tanh": {"shared_sizes": (), "policy_sizes": (6, 5), "value_sizes": (4,), "activation": "tanh"},
}
SMALL = PPOConfig(
    env_id="", total_timesteps=10**6, anneal_lr=False, num_envs=2, num_steps=8, num_minibatches=2, update_epochs=1,
    norm_adv=False, ent_coef=0.1,
)  # fmt: skip


class Noise(gymnasium.Env):
    """Random observations and rewards; episodes of 5 steps, cut off."""

    metadata = {"render_modes": []}

    def __init__(self, action_space):
        self.observation_space, self.action_space = spaces.Box(-np.inf, np.inf, (3,), np.float32), action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.np_random.standard_normal(3, np.float32), {}

    def step(self, action):
        self.steps += 1
        reward = float(self.np_random.standard_normal())
        return self.np_random.standard_normal(3, np.float32), reward, False, self.steps == 5, {}


def ppo_of(actions, network, env=None, **settings):
    """A new run, on `Noise` or on another environment that a function makes."""
    config = {**SMALL.to_dict(), **NETWORKS[network], **settings}
    return PPO(PPOConfig.from_dict(config), env or functools.partial(Noise, ACTIONS[actions]))


@functools.cache
def trained(actions, network):
    """A run that has done an update; `state_of` and `put_back` make it usable many times."""
    ppo = ppo_of(actions, network)
    ppo.learn(lambda ppo, _: ppo.stop())
    return ppo


def state_of(ppo):
    optimizer = ppo.state.optimizer
    return [array.copy() for array in (ppo.policy.model.params, optimizer.m, optimizer.v)] + [optimizer.steps]


def put_back(ppo, state):
    optimizer = ppo.state.optimizer
    ppo.policy.model.params[:], optimizer.m[:], optimizer.v[:], optimizer.steps = state


def same(state, other):
    return all(np.array_equal(one, two, equal_nan=True) for one, two in zip(state, other, strict=True))


class Spoiler:
    """Calls a function, and then spoils what it wrote: from its `first` call on.

    Args:
        function: that is called.
        spoil: called with the function's arguments.
    """

    def __init__(self, function, spoil, first=1):
        self.function, self.spoil, self.first, self.calls = function, spoil, first, 0

    def __call__(self, *arguments):
        result = self.function(*arguments)
        self.calls += 1
        if self.calls >= self.first:
            self.spoil(*arguments)
        return result


def spoil_output(patch, module, name, argument, value, first=2):
    """Spoil what a kernel has written into one of its arguments."""

    def spoil(*arguments):
        array = arguments[argument]
        array[place(array)] = value

    patch.setattr(module, name, Spoiler(getattr(module, name), spoil, first))


@contextmanager
def only_epochs(ppo, config):
    """While active, `ppo._update` is the epochs over the rollout that `ppo` has, without the checks at their end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ppo, "config", config)
        patch.setattr(ppo, "_collect", lambda _: RolloutReport())
        patch.setattr(ppo._divergence, "check_state", lambda *_: None)
        patch.setattr(ppo, "_finish_update", lambda *_: None)
        patch.setattr(ppo.resume_point, "moving", nullcontext)
        yield patch


def run_epochs(ppo, **settings):
    """Run the epochs over the rollout that `ppo` has, and put everything back; gives the DivergedError or None.

    Checks that the minibatch at which it ended has changed nothing.
    """
    before, original, states = state_of(ppo), ppo._divergence.check_minibatch, []

    def check_minibatch(*arguments):
        states.append(state_of(ppo))
        return original(*arguments)

    with only_epochs(ppo, dataclasses.replace(ppo.config, **settings)) as patch:
        patch.setattr(ppo._divergence, "check_minibatch", check_minibatch)
        try:
            ppo._update(0.0)
        except DivergedError as error:
            assert same(state_of(ppo), states[-1])
            return error
        finally:
            put_back(ppo, before)
    assert len(states) > 1
    return None


def place(array):
    """An index in the midst of an array."""
    return tuple(size // 2 for size in array.shape)


def parameters_of(ppo):
    return ppo.policy.model.named(ppo.policy.model.params)


def of_every_kind(test):
    """Run a test with each kind of actions and of networks."""
    return pytest.mark.parametrize("actions", ACTIONS)(pytest.mark.parametrize("network", NETWORKS)(test))


def through_a_file(crash, folder):
    """The crash as it comes back from disk."""
    crash_file.write_crash(folder / "crash.h5", crash)
    again = crash_file.read_crash(folder / "crash.h5")
    assert (again.what, again.during, again.config, again.head) == (crash.what, crash.during, crash.config, crash.head)
    assert again.rng == crash.rng
    for field in ("tensors", "arrays"):
        np.testing.assert_equal(getattr(again, field), getattr(crash, field))
    return again


def check_found(error, name, value, folder, comes_again):
    """The message names a tensor and the value, and the crash file leads there again, or to nothing."""
    assert error is not None, f"{value} in {name} was not caught"
    text = str(error)
    assert f"epoch 1, minibatch 2, {name} at [" in text or f"epoch 1, minibatch 2, {name} is" in text, (name, text)
    assert text.endswith("where everything before it was finite; the parameters were not changed by it.")
    assert text.isprintable()
    crash = through_a_file(error.crash, folder) if comes_again and np.isnan(value) else error.crash
    finding = first_bad(iter(recompute(crash)))
    if comes_again:
        assert str(finding) in text
    else:
        assert finding is None
