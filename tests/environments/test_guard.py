"""The guard around one environment: what it lets through, and what it refuses in which words."""

import faulty
import gymnasium
import numpy as np
import pytest
from faulty import BOX, IMAGE, Faulty
from gymnasium import spaces

from ppo_np.environments.guard import Guard, describe, misfit, short
from ppo_np.environments.serial import SerialEnvs
from ppo_np.errors import EnvironmentFault

NESTED = spaces.Dict({"a": spaces.Tuple((BOX, spaces.Discrete(3))), "b": IMAGE})


def guarded(**fault):
    env = Guard(Faulty(index=0, **fault), 4)
    env.reset(seed=0)
    return env


def fault_of(call, *args):
    with pytest.raises(EnvironmentFault) as caught:
        call(*args)
    return str(caught.value)


def test_what_is_right_passes_through_unchanged():
    inner = Faulty(index=0, at=-1)
    env, plain = Guard(inner, 1), Faulty(index=0, at=-1)
    assert np.array_equal(env.reset(seed=3)[0], plain.reset(seed=3)[0])
    for _ in range(6):
        ours, theirs = env.step(0), plain.step(0)
        assert np.array_equal(ours[0], theirs[0])
        assert ours[1:] == theirs[1:]
    assert inner.index == 3
    assert env.unwrapped is inner


@pytest.mark.parametrize(
    "reward", [1, True, np.float32(2), np.int64(-3), np.bool_(True), np.array(4.0), np.float64("nan"), float("inf")]
)
def test_every_kind_of_number_is_a_reward(reward):
    assert guarded(at=1, reward=reward).step(0)[1] is reward


@pytest.mark.parametrize(
    ("reward", "shown"),
    [
        ("1", "'1'"),
        (None, "None"),
        (1j, "1j"),
        (np.ones(2), "array([1., 1.])"),
        (np.ones(1), "array([1.])"),
        (np.eye(2), "array([[1., 0.], [0., 1.]])"),
        ([1.0], "[1.0]"),
    ],
)
def test_other_things_are_no_reward(reward, shown):
    message = fault_of(guarded(at=1, reward=reward).step, 0)
    assert message == f"environment 4 gave the reward {shown}, but it must be a number"


@pytest.mark.parametrize(
    ("obs", "space"),
    [
        (np.zeros(2, np.float32), BOX),
        (np.zeros(2), BOX),  # float64 for float32
        (np.zeros(2, int), BOX),
        ([0, 1.5], BOX),
        (np.full(2, 9.0), spaces.Box(-1, 1, (2,), np.float32)),  # out of bounds, as many environments are at times
        (np.zeros(2, np.uint8), IMAGE),
        (2, spaces.Discrete(3)),
        (np.int64(2), spaces.Discrete(3)),
        (np.array([0, 1], np.int8), spaces.MultiBinary(2)),
        ("ab", spaces.Text(5)),
        ({"b": np.zeros(2, np.uint8), "a": (np.full(2, np.nan), 2)}, NESTED),
    ],
)
def test_observations_that_can_be_used(obs, space):
    assert misfit(obs, space) is None


@pytest.mark.parametrize(
    ("obs", "space", "given", "allowed"),
    [
        (np.zeros(3), BOX, "of shape (3,) and type float64", "of shape (2,) and type float32"),
        (np.zeros((1, 2)), BOX, "of shape (1, 2) and type float64", "of shape (2,) and type float32"),
        (0.0, BOX, "of shape () and type float64", "of shape (2,) and type float32"),
        (None, BOX, "of shape () and type object", "of shape (2,) and type float32"),
        ([[1], [1, 2]], BOX, "of shape () and type object", "of shape (2,) and type float32"),
        (np.array(["a", "b"]), BOX, "of shape (2,) and type <U1", "of shape (2,) and type float32"),
        (np.zeros(2, complex), BOX, "of shape (2,) and type complex128", "of shape (2,) and type float32"),
        (np.zeros(2), IMAGE, "of shape (2,) and type float64", "of shape (2,) and type uint8"),
        (np.zeros(2, int), IMAGE, "of shape (2,) and type int64", "of shape (2,) and type uint8"),
        (3, spaces.Discrete(3), "3", "in Discrete(3)"),
        (-1, spaces.Discrete(3), "-1", "in Discrete(3)"),
        (1.0, spaces.Discrete(3), "1.0", "in Discrete(3)"),
        (None, spaces.Discrete(3), "None", "in Discrete(3)"),
        (np.array([0, 2], np.int8), spaces.MultiBinary(2), "array([0, 2], dtype=int8)", "in MultiBinary(2)"),
        ({"a": 0}, NESTED, "{'a': 0}", f"in {NESTED}"),
        (
            {"a": (np.zeros(2), 3), "b": np.zeros(2, np.uint8)},
            NESTED,
            "whose part ['a'][1] is 3",
            "in Discrete(3)",
        ),
        (
            {"a": (np.zeros(2), 1), "b": np.zeros(2)},
            NESTED,
            "whose part ['b'] is of shape (2,) and type float64",
            "of shape (2,) and type uint8",
        ),
        (
            {"a": (np.zeros(2),), "b": np.zeros(2, np.uint8)},
            NESTED,
            "whose part ['a'] is (array([0., 0.]),)",
            f"in {NESTED['a']}",
        ),
    ],
)
def test_observations_that_cannot_be_used(obs, space, given, allowed):
    assert misfit(obs, space) == (given, allowed)


def test_a_malformed_observation_is_told_from_step_and_reset():
    message = "environment 4 gave an observation of shape (3,) and type float64, but it must be of shape (2,) and "
    assert fault_of(guarded(at=1, obs=np.zeros(3)).step, 0).startswith(message)
    env = Guard(Faulty(index=0, at=0, in_reset=True, obs=np.zeros(3)), 4)
    assert fault_of(lambda: env.reset(seed=0)).startswith(message)


def test_exceptions_are_told_from_step_and_reset():
    expected = r"environment 4 raised RuntimeError: the simulator is gone \(faulty\.py, line \d+\)"
    with pytest.raises(EnvironmentFault, match=f"^{expected}$") as caught:
        guarded(at=1, call=faulty.raise_exception).step(0)
    assert isinstance(caught.value.__cause__, RuntimeError)
    env = Guard(Faulty(index=0, at=0, in_reset=True, call=faulty.raise_exception), 4)
    with pytest.raises(EnvironmentFault, match=f"^{expected} in its reset$"):
        env.reset(seed=0)


def test_an_environment_cannot_end_the_run_by_exit():
    def leave():
        raise SystemExit(0)

    assert fault_of(guarded(at=1, call=leave).step, 0).startswith("environment 4 raised SystemExit: 0 (test_guard.py")


def test_an_interruption_is_no_fault():
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded(at=1, call=interrupt).step(0)


def test_a_fault_from_inside_is_passed_on_as_it_is():
    def fail():
        raise EnvironmentFault("from the watchdog")

    assert fault_of(guarded(at=1, call=fail).step, 0) == "from the watchdog"


def test_it_is_busy_only_while_the_environment_is_at_work():
    seen = []
    env = guarded(at=1, call=lambda: seen.append(env.busy))
    assert not env.busy
    env.step(0)
    assert seen == [True]
    assert not env.busy
    env = guarded(at=1, call=faulty.raise_exception)
    fault_of(env.step, 0)
    assert not env.busy


def test_an_exception_in_close_is_a_warning():
    class Broken(gymnasium.Wrapper):
        def close(self):
            faulty.raise_exception()

    with pytest.warns(
        RuntimeWarning, match="^environment 4 raised RuntimeError: the simulator is gone .* in its close"
    ):
        Guard(Broken(Faulty()), 4).close()


def test_descriptions_are_one_short_line():
    assert describe(ValueError("a\n  b")) == "ValueError: a b"
    assert describe(ValueError()) == "ValueError"
    assert short(np.eye(2)) == "array([[1., 0.], [0., 1.]])"
    assert short("x" * 500) == "'" + "x" * 199 + "..."


class ActionsSeen(gymnasium.Env):
    """Remembers the actions that it was given."""

    observation_space, action_space = BOX, spaces.Discrete(3)

    def __init__(self):
        self.seen = []

    def reset(self, *, seed=None, options=None):
        return np.zeros(BOX.shape, BOX.dtype), {}

    def step(self, action):
        self.seen.append(action)
        return np.zeros(BOX.shape, BOX.dtype), 0.0, False, False, {}


class GymnasiumsOwn(ActionsSeen):
    """Looks as if it came with Gymnasium."""


GymnasiumsOwn.__module__ = "gymnasium.envs.some.module"


@pytest.mark.parametrize(
    ("env", "kind"),
    [
        (ActionsSeen(), np.int64),
        (GymnasiumsOwn(), int),
        (gymnasium.wrappers.TimeLimit(GymnasiumsOwn(), 9), int),
        (gymnasium.wrappers.TimeLimit(ActionsSeen(), 9), np.int64),
        (type("Mine", (gymnasium.Wrapper,), {})(GymnasiumsOwn()), np.int64),
    ],
)
def test_only_gymnasiums_own_environments_get_plain_integers(env, kind):
    guard = Guard(env, 0)
    guard.reset()
    guard.step(np.int64(2))
    (action,) = env.unwrapped.seen
    assert action == 2
    assert type(action) is kind


@pytest.mark.parametrize("env_id", ["CartPole-v1", "LunarLander-v3", "MountainCar-v0", "Acrobot-v1", "FrozenLake-v1"])
def test_plain_integers_change_nothing(env_id):
    ours, theirs = Guard(gymnasium.make(env_id), 0), gymnasium.make(env_id)
    np.testing.assert_equal(ours.reset(seed=3)[0], theirs.reset(seed=3)[0])
    theirs.action_space.seed(3)
    for _ in range(200):
        action = theirs.action_space.sample()
        one, other = ours.step(action), theirs.step(action)
        np.testing.assert_equal(one[:4], other[:4])
        if one[2] or one[3]:
            np.testing.assert_equal(ours.reset()[0], theirs.reset()[0])
    ours.close()
    theirs.close()


@pytest.mark.parametrize("metadata", [None, 3])
def test_metadata_that_are_none_do_not_hinder_training(metadata):
    """A vector environment copies them."""
    env = gymnasium.make("CartPole-v1").unwrapped
    env.metadata = metadata
    envs = SerialEnvs([lambda: Guard(env, 0)])
    assert envs.metadata == {"autoreset_mode": envs.metadata["autoreset_mode"]}
    envs.close()
