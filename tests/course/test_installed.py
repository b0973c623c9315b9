"""Functions of the course in place of the kernels: the kernels themselves, and functions written in plain NumPy."""

import dataclasses
import re

import numpy as np
import pytest
from course.lesson_files import REWRITTEN, WORKED_FUNCTIONS
from distributed import small_runs

from ppo_np import PPO, PPOConfig
from ppo_np.course.training.calls import PARAMETER_BITS, RESULT_BITS, FunctionFault, copies, rounded
from ppo_np.course.training.installed import installed
from ppo_np.course.training.kernel_functions import KERNEL_FUNCTIONS
from ppo_np.learning import minibatches, ppo, rollout_buffer
from ppo_np.network import distributions, model, optimizer

SMALL = dataclasses.replace(PPOConfig.preset("cartpole"), num_steps=8, update_epochs=2, num_minibatches=2)
PLACES = [
    (distributions, "categorical_forward"), (distributions.MultiCategorical, "backward"), (model, "orthogonal"),
    (model.ActorCritic, "forward"), (model.ActorCritic, "backward"), (model.ActorCritic, "act"),
    (optimizer, "adam"), (optimizer, "clip_by_global_norm"), (ppo, "collect"), (rollout_buffer, "gae"),
    (minibatches, "normalize"), (minibatches.MinibatchSampler, "epochs"),
]  # fmt: skip
# All kinds of actions, with and without shared layers.
RUNS = ["Discrete, shared, normalised", "MultiDiscrete", "MultiBinary", "Box, shared"]


def parameters(context, updates=2, config=SMALL):
    """After each update."""
    history = []

    def note(ppo, _):
        history.append(ppo.policy.model.params.copy())
        if len(history) == updates:
            ppo.stop()

    with context:
        PPO(config).learn(note).close()
    return history


def test_rounded_to_4_bits_of_the_power_of_two_above_the_largest_number():
    x = np.array([[5.0, -5.2, 0.74], [0.76, -0.25, 6.1]])  # multiples of 8 / 16
    np.testing.assert_array_equal(rounded(x, 4), [[5.0, -5.0, 0.5], [1.0, 0.0, 6.0]])
    np.testing.assert_array_equal(rounded(x[:1] / 2**40, 4), np.array([[5.0, -5.0, 0.5]]) / 2**40)


@pytest.mark.parametrize("error", [-1e-12, 0, 1e-12])
def test_halves_and_powers_of_two_are_not_where_rounding_changes(error):
    np.testing.assert_array_equal(rounded(np.array([6.0, 2.25 + error, -2.25 + error]), 4), [6.0, 2.5, -2.0])
    np.testing.assert_array_equal(rounded(np.array([4.0 + error, 1.3]), 4), [4.0, 1.5])


@pytest.mark.parametrize("x", [[], [0.0, -0.0], [np.nan, 1.3], [np.inf, 1.3], [1e-300, 3e-301]])
def test_nothing_to_round_by(x):
    np.testing.assert_array_equal(rounded(np.array(x), 16), x)


def test_a_single_number_keeps_its_bits():
    assert rounded(np.array(-2.7), 4) == -2.75


@pytest.mark.parametrize("bits", [RESULT_BITS, PARAMETER_BITS])
def test_every_rounded_number_fits_float32(bits):
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal((100, 3)) * 10.0 ** rng.integers(-9, 9, (100, 3))
    result = rounded(numbers, bits)
    np.testing.assert_array_equal(result, result.astype(np.float32))
    np.testing.assert_array_equal(result, rounded(result, bits))
    assert 0 < abs(result - numbers).max() <= 2.0**-bits * abs(numbers).max()


def test_functions_get_copies_in_float64():
    given = [np.ones((2, 3), np.float32).T, (np.array([1], np.int8), np.array([True]), "tanh", 0.5)]
    floats, (integers, booleans, name, number) = copies(given)
    assert (floats.dtype, integers.dtype, booleans.dtype, name, number) == (float, np.int64, bool, "tanh", 0.5)
    assert floats.flags.c_contiguous
    assert not any(np.shares_memory(*pair) for pair in ((floats, given[0]), (integers, given[1][0])))


@pytest.mark.parametrize("name", RUNS)
def test_the_kernels_as_functions_are_the_package(name):
    """In float64 without rounding, to the last bits: the sums of blocks and shared layers are the same."""
    with small_runs.conditions(name, np.float64):
        expected = small_runs.train(name)
        with installed(KERNEL_FUNCTIONS, rounding=False):
            found = small_runs.train(name)
    for part in ("params", "metrics", "episodes"):
        assert small_runs.difference(found[part], expected[part]) <= 1e-12, part


@pytest.mark.parametrize("name", RUNS)
def test_functions_in_numpy_are_the_package_up_to_rounding(name):
    functions = {key: function for key, function in REWRITTEN.items() if key != "collect"}
    with small_runs.conditions(name, np.float64):
        expected = small_runs.train(name)
        with installed(functions, rounding=False):
            found = small_runs.train(name)
    assert small_runs.difference(found["params"], expected["params"]) <= 1e-9


@pytest.mark.parametrize("functions", [WORKED_FUNCTIONS, REWRITTEN], ids=["worked", "rewritten"])
def test_under_rounding_functions_in_numpy_give_the_bits_of_the_kernels(functions):
    expected = parameters(installed(KERNEL_FUNCTIONS))
    np.testing.assert_array_equal(parameters(installed(functions)), expected)
    exact = parameters(installed(functions, rounding=False))[-1]
    np.testing.assert_allclose(exact, expected[-1], rtol=0, atol=0.02)
    assert (exact != expected[-1]).any()


def test_without_functions_nothing_is_changed():
    history = []
    PPO(dataclasses.replace(SMALL, total_timesteps=1)).learn(lambda p, _: history.append(p.policy.model.params)).close()
    config = dataclasses.replace(SMALL, total_timesteps=1)
    np.testing.assert_array_equal(parameters(installed({"log_softmax": None}), config=config)[0], history[0])


def test_the_kernels_are_back_afterwards():
    before = [getattr(*place) for place in PLACES]
    context = installed(WORKED_FUNCTIONS)
    for _ in range(2):
        with context:
            assert all(getattr(*place) is not original for place, original in zip(PLACES, before, strict=True))
        assert all(getattr(*place) is original for place, original in zip(PLACES, before, strict=True))


def test_adams_moments_are_kept_in_float64():
    seen = []

    def adam(params, grads, m, v, step, *constants):
        seen.append((step, m, v))
        results = WORKED_FUNCTIONS["adam"](params, grads, m, v, step, *constants)
        seen.append((step, *results[1:]))
        return results

    parameters(installed({"adam": adam}), updates=1)
    assert [step for step, *_ in seen] == [1, 1, 2, 2, 3, 3, 4, 4]
    for (_, *after), (_, *before) in zip(seen[1::2], seen[2::2], strict=False):
        np.testing.assert_array_equal(before, after)
    assert (seen[-1][1] != seen[-1][1].astype(np.float32)).any()


def broken(message):
    def function(*arguments):
        raise ValueError(message)

    return function


@pytest.mark.parametrize(
    ("name", "function", "message"),
    [
        ("gae", broken("no idea"), r"gae raised ValueError: no idea \(test_installed.py, line \d+\)."),
        ("gae", lambda *_: None, "gae returned 1 arrays, but it must return 2: advantages, returns."),
        ("normalize", lambda a: a[:-1], "normalize returned normalized of shape (63,), but it must be (64,)."),
        ("normalize", lambda a: "text", "normalize returned 'text' for normalized, but it must return numbers."),
        (
            "categorical_sample", lambda logits, u: (u, u),
            "categorical_sample returned actions of type float64, but it must be integers.",
        ),
        (
            "categorical_sample", lambda logits, u: (np.full(len(u), 2), u),
            "categorical_sample returned the action 2, but it must be from 0 to 1.",
        ),
        (
            "minibatches", lambda rows, parts, rng: "nothing",
            "minibatches returned 'nothing', but it must return a list of 1 arrays",
        ),
        (
            "minibatches", lambda rows, parts, rng: [np.arange(1, rows + 1)],
            "but rows must be integers from 0 to 63.",
        ),
        (
            "minibatches", lambda rows, parts, rng: [np.r_[0, 0, 2:rows]],
            "minibatches returned row 0 2 times in an epoch, but each of the 64 rows must occur once.",
        ),
        ("collect", lambda envs, act, obs, t: {}, "collect must return a dict of arrays and the next observations."),
        (
            "collect", lambda envs, act, obs, t: WORKED_FUNCTIONS["collect"](envs, act, obs, t - 1),
            "collect stepped the environments 7 times instead of 8.",
        ),
        (
            "collect", lambda *a: (WORKED_FUNCTIONS["collect"](*a)[0], a[2]),
            "collect returned other next observations than the environments show now.",
        ),
        (
            "collect", lambda *a: (WORKED_FUNCTIONS["collect"](*a)[0] | {"values": np.zeros((8, 8))}, a[2]),
            "collect returned values of shape (8, 8), but it must be (9, 8).",
        ),
    ],
)  # fmt: skip
def test_what_a_function_does_wrong_is_said_in_a_sentence(name, function, message):
    config = dataclasses.replace(SMALL, num_minibatches=1)
    with pytest.raises(FunctionFault) as caught:
        parameters(installed(WORKED_FUNCTIONS | {name: function}), config=config)
    sentence = str(caught.value)
    assert caught.value.function == name
    assert message in sentence or re.fullmatch(message, sentence)


def test_minibatches_must_be_even():
    uneven = {"minibatches": lambda rows, parts, rng: np.split(np.arange(rows), [1])}
    with pytest.raises(FunctionFault, match="returned minibatches of 1 to 63 rows; they may differ by one"):
        parameters(installed(uneven))


def test_final_observations_may_be_asked_for_one_by_one():
    """The unit of the rounding depends on the largest number of an array, so also on how many rows it has."""
    config = dataclasses.replace(SMALL, num_steps=64, max_episode_steps=6)
    functions = KERNEL_FUNCTIONS | {"collect": REWRITTEN["collect"]}
    ours, theirs = parameters(installed(functions), 4, config), parameters(installed(KERNEL_FUNCTIONS), 4, config)
    np.testing.assert_array_equal(ours, theirs)
