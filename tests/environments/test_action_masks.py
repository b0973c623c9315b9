"""Masks that cannot be used: one sentence that names the environment, what it gave and what is allowed."""

import re
from functools import partial

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import FlattenObservation, TimeLimit
from sample_environments import Cards, Counting

from ppo_np import PPO, EnvironmentFault, PPOConfig, UserError
from ppo_np.environments.action_masks import MaskReader
from ppo_np.environments.guard import Guard

NUMBERS = "5 numbers, 1 for a valid action and 0 for an invalid one"
WRONG = {
    "none": (lambda mask: None, "gave no action mask, but action_mask is 'info:action_mask'"),
    "a wrong length": (lambda mask: mask[:4], f"gave the action mask .*, but it must be {NUMBERS}"),
    "two dimensions": (lambda mask: mask[np.newaxis], f"gave the action mask .*, but it must be {NUMBERS}"),
    "lists of different lengths": (lambda mask: [[1], [1, 0]], f"gave the action mask .*, but it must be {NUMBERS}"),
    "other numbers": (lambda mask: 2 * mask, f"gave the action mask .*, but it must be {NUMBERS}"),
    "NaN": (lambda mask: mask * np.nan, f"gave the action mask .*, but it must be {NUMBERS}"),
    "words": (lambda mask: ["yes"] * 5, f"gave the action mask .*, but it must be {NUMBERS}"),
    "no action": (lambda mask: 0 * mask, "gave an action mask that allows no action, but one must be valid"),
}
every_wrong = pytest.mark.parametrize("what", WRONG)


class Later:
    """The mask as it is, and after some calls another one."""

    def __init__(self, wrong, calls):
        self.wrong, self.calls = wrong, calls

    def __call__(self, mask):
        self.calls -= 1
        return self.wrong(mask) if self.calls < 0 and mask.any() else mask


def config(**settings):
    return PPOConfig(
        **{"num_envs": 2, "num_steps": 64, "shared_sizes": (4,), "action_mask": "info:action_mask"} | settings
    )


@every_wrong
@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_in_the_first_reset(what, vectorization):
    wrong, sentence = WRONG[what]
    with pytest.raises(EnvironmentFault) as caught:
        PPO(config(vectorization=vectorization), partial(Cards, mask=wrong))
    assert re.fullmatch(rf"In step 0, environment [01] {sentence}\.", str(caught.value))


@every_wrong
@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_in_a_step(what, vectorization):
    wrong, sentence = WRONG[what]
    ppo = PPO(config(vectorization=vectorization), lambda: Cards(mask=Later(wrong, 20)))
    with pytest.raises(EnvironmentFault) as caught:
        ppo.learn()
    ppo.close()
    assert re.fullmatch(rf"In step \d+, environment [01] {sentence}\.", str(caught.value))


@every_wrong
@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_in_a_vector_environment_of_the_user(what, mode):
    wrong, sentence = WRONG[what]
    if what == "a wrong length":  # Gymnasium joins the masks itself, and needs the same length in all of them
        envs = SyncVectorEnv([partial(Cards, mask=wrong)] * 2, autoreset_mode=mode)
    else:
        envs = SyncVectorEnv([lambda: Cards(mask=Later(wrong, 0))] * 2, autoreset_mode=mode)
    with pytest.raises(EnvironmentFault) as caught:
        PPO(config(), envs)
    sentence = sentence if what != "lists of different lengths" else "(gave the action mask|raised) .*"
    assert re.fullmatch(rf"In step 0, environment 0 {sentence}\.", str(caught.value))
    envs.close()


def test_infos_as_a_list_of_dicts():
    reader = MaskReader("info:m", spaces.MultiDiscrete([2, 3]))
    infos = [{"m": [1, 0, 1, 1, 0]}, {}, {"m": np.array([0, 1, 0, 0, 1], bool)}]
    masks = reader.of_infos(infos, np.array([True, False, True]), 4)
    assert masks.dtype == np.int8
    assert masks.tolist() == [[1, 0, 1, 1, 0], [1] * 5, [0, 1, 0, 0, 1]]
    with pytest.raises(EnvironmentFault, match="environment 5 gave no action mask, but action_mask is 'info:m'"):
        reader.of_infos(infos, np.ones(3, bool), 4)
    for infos in ({}, {"m": np.ones((1, 5))}):
        with pytest.raises(EnvironmentFault, match="environment 0 gave "):
            reader.of_infos(infos, np.ones(3, bool), 0)


def test_each_component_needs_a_valid_choice():
    reader = MaskReader("info:m", spaces.MultiDiscrete([2, 3, 1]))
    assert reader.checked([1, 0, 0, 0, 1, 1], "x").tolist() == [1, 0, 0, 0, 1, 1]
    with pytest.raises(EnvironmentFault, match="x gave an action mask that allows no action in component 1, but one "):
        reader.checked([1, 0, 0, 0, 0, 1], "x")
    with pytest.raises(EnvironmentFault, match="an invalid one, the components of the action one after the other"):
        reader.checked([1, 0], "x")


def test_a_method_is_found_through_wrappers_and_its_absence_told():
    wrapped = TimeLimit(FlattenObservation(Cards()), 100)
    guard = Guard(wrapped, 3, "method:action_masks")
    _, info = guard.reset(seed=0)
    np.testing.assert_array_equal(info["action_mask"], wrapped.unwrapped.hand)
    with pytest.raises(EnvironmentFault, match="^environment 3 has no method masks, but action_mask is 'method:masks'"):
        Guard(Cards(), 3, "method:masks").reset()
    with pytest.raises(EnvironmentFault, match="^environment 3 raised TypeError.* in its reset"):
        Guard(Cards(mask=1), 3, "method:action_masks").reset()


def test_infos_that_are_no_dict():
    env = Counting()
    env.reset = lambda **_: (np.zeros(2, np.float32), None)
    with pytest.raises(EnvironmentFault, match="^environment 0 gave no action mask"):
        Guard(env, 0, "info:action_mask").reset()


def test_of_the_infos_only_the_mask_is_given_and_none_when_the_episode_has_ended():
    guard = Guard(Cards(), 0, "info:action_mask")
    _, info = guard.reset(seed=0)
    while info:
        assert list(info) == ["action_mask"]
        *_, terminated, _, info = guard.step(int(info["action_mask"].argmax()))
    assert terminated


def test_a_method_of_a_vector_environment_is_refused():
    envs = SyncVectorEnv([Cards], autoreset_mode=AutoresetMode.SAME_STEP)
    sentence = "action_mask is 'method:action_masks', but a VectorEnv of your own must give masks in its infos: info:NA"
    with pytest.raises(UserError, match=sentence):
        PPO(config(action_mask="method:action_masks"), envs)
    envs.close()


@pytest.mark.parametrize("given", ["action_mask", "info:", "method:a b", "what:x", "info:a:b"])
def test_other_settings_are_refused(given):
    with pytest.raises(
        UserError, match=f'action_mask is \'{given}\', but it must be "info:NAME", "method:NAME" or empty'
    ):
        PPOConfig(action_mask=given)
