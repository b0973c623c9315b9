"""The stream of transitions: episodes counted, final observations, resets in the same step and in the next one."""

import numpy as np
import pytest
import sample_environments
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from ppo_np.environments.stream import EnvStream
from ppo_np.errors import EnvironmentFault, UserError


def counting(num_envs=2, mode=AutoresetMode.SAME_STEP, **kwargs):
    return SyncVectorEnv([lambda: sample_environments.Counting(**kwargs)] * num_envs, autoreset_mode=mode)


def steps_of(stream, count):
    return [stream.step(np.array([0, t % 2])) for t in range(count)]


def test_episodes_are_counted_across_rollouts_in_every_environment():
    stream = EnvStream(counting(lengths=(3, 1))).reset(seed=0)
    seen = [[tuple(episode) for episode in step.episodes] for step in steps_of(stream, 8)]
    # Lengths 3, 1, 3, 1; environment 0 gets reward 1 a step, environment 1 one more in odd steps.
    assert seen == [
        [],
        [],
        [(3.0, 3), (4.0, 3)],
        [(1.0, 1), (2.0, 1)],
        [],
        [],
        [(3.0, 3), (4.0, 3)],
        [(1.0, 1), (2.0, 1)],
    ]


def test_nothing_is_recorded_if_nobody_restores():
    for records in (True, False):
        stream = EnvStream(counting(), records=records).reset(0)
        stream._recorder.can_restore = True  # of environments that are made here
        steps_of(stream, 3)
        assert len(stream._recorder._actions) == 3 * records


def test_the_final_observation_is_the_real_one():
    stream = EnvStream(counting(lengths=(2,), ends=("t",))).reset(seed=0)
    assert stream.step(np.zeros(2, int)).final is None
    step = stream.step(np.zeros(2, int))
    assert [list(obs) for obs in step.final.obs] == [[0, 2], [0, 2]]
    assert stream.observed.obs.tolist() == [[1, 0], [1, 0]]


def test_a_reset_row_follows_each_end_in_the_next_step_mode():
    stream = EnvStream(counting(mode=AutoresetMode.NEXT_STEP, lengths=(2, 1), ends=("t", "T"))).reset(seed=0)
    steps = steps_of(stream, 5)
    assert stream.next_step
    assert [step.valid.tolist() for step in steps] == [[True] * 2, [True] * 2, [False] * 2, [True] * 2, [False] * 2]
    assert [step.rewards.tolist() for step in steps] == [[1, 1], [1, 2], [0, 0], [1, 2], [0, 0]]
    assert [step.truncations.any() for step in steps] == [False, True, False, False, False]
    assert [step.terminations.any() for step in steps] == [False, False, False, True, False]
    assert all(step.final is None for step in steps)
    assert [tuple(e) for step in steps for e in step.episodes] == [(2.0, 2), (3.0, 2), (1.0, 1), (2.0, 1)]


@pytest.mark.parametrize("mode", [AutoresetMode.DISABLED, None, "sometimes"])
def test_other_ways_of_resetting_are_refused(mode):
    envs = counting()
    envs.metadata["autoreset_mode"] = mode
    with pytest.raises(UserError, match="autoreset_mode of the vector environment is .* must be AutoresetMode.SAME_"):
        EnvStream(envs).reset(seed=0)


def test_an_exception_of_a_vector_environment_is_one_sentence(monkeypatch):
    envs = counting()
    stream = EnvStream(envs).reset(seed=0)
    steps_of(stream, 2)
    monkeypatch.setattr(envs, "step", lambda actions: 1 / 0)
    fault = (
        r"^In step 3, the vector environment raised ZeroDivisionError: division by zero \(test_stream.py, line \d+\)\.$"
    )
    with pytest.raises(EnvironmentFault, match=fault) as caught:
        steps_of(stream, 1)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_missing_final_observation_is_a_fault(monkeypatch):
    envs = counting(lengths=(1,))
    stream, step = EnvStream(envs).reset(seed=0), envs.step
    monkeypatch.setattr(envs, "step", lambda actions: (*step(actions)[:4], {}))
    with pytest.raises(EnvironmentFault, match=r"^In step 1, the vector environment gave no final_obs"):
        steps_of(stream, 1)


@pytest.mark.parametrize("reward", [np.nan, np.inf, -np.inf, 1e38])
def test_a_reward_out_of_range_is_a_fault(monkeypatch, reward):
    envs = counting()
    stream, step = EnvStream(envs).reset(seed=0), envs.step

    def spoiled(actions):
        obs, rewards, *rest = step(actions)
        return obs, np.array([rewards[0], reward]), *rest

    monkeypatch.setattr(envs, "step", spoiled)
    with pytest.raises(
        EnvironmentFault, match=r"^In step 1, environment 1 gave the reward [-+.\w]+, but it must be a fin"
    ):
        steps_of(stream, 1)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e38])
def test_an_observation_out_of_range_is_a_fault(number):
    stream, rows = EnvStream(counting()).reset(seed=0), np.zeros((2, 5), np.float32)
    stream.check_obs(rows)
    rows[1, 3] = number
    with pytest.raises(EnvironmentFault, match=r"^In step 0, environment 1 gave an observation whose number 3 is "):
        stream.check_obs(rows)


def test_after_a_fault_the_environments_are_not_stepped_again(monkeypatch):
    stream = EnvStream(counting(mode=AutoresetMode.NEXT_STEP, lengths=(1,))).reset(seed=0)
    monkeypatch.setattr(stream, "_step", lambda actions: (_ for _ in ()).throw(EnvironmentFault("so it is")))
    with pytest.raises(EnvironmentFault, match=r"^In step 1, so it is\.$"):
        steps_of(stream, 1)
    monkeypatch.undo()
    with pytest.raises(EnvironmentFault, match=r"^The environments have failed before: make new ones\.$"):
        steps_of(stream, 1)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (1, np.zeros((2, 1)), r"rewards of shape \(2, 1\), but it must be \(2,\)"),
        (1, 0.0, r"rewards of shape \(\), but it must be \(2,\)"),
        (1, ["a", "b"], "raised ValueError: could not convert string to float"),
        (2, np.zeros(3, bool), r"terminations of shape \(3,\), but it must be \(2,\)"),
    ],
)
def test_results_of_another_shape_are_a_fault(monkeypatch, place, value, message):
    envs = counting()
    stream, step = EnvStream(envs).reset(seed=0), envs.step
    monkeypatch.setattr(envs, "step", lambda actions: (*step(actions)[:place], value, *step(actions)[place + 1 :]))
    with pytest.raises(EnvironmentFault, match=f"^In step 1, the vector environment .*{message}"):
        steps_of(stream, 1)


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
@pytest.mark.parametrize("name", ["final_obs", "terminal_observation"])
def test_infos_may_be_a_list(monkeypatch, mode, name):
    """As in SuperSuit and Stable-Baselines3: a dict for each environment."""

    def steps(as_list):
        envs = counting(mode=mode, lengths=(2, 3), ends=("t", "T"))
        stream, step = EnvStream(envs).reset(seed=0), envs.step

        def with_list(actions):
            *results, infos = step(actions)
            finals = infos.get("final_obs", [None, None])
            return *results, [{"other": 1} if final is None else {name: final} for final in finals]

        if as_list:
            monkeypatch.setattr(envs, "step", with_list)
        return [step._replace(final=step.final and step.final.obs.tolist()) for step in steps_of(stream, 9)]

    np.testing.assert_equal(steps(as_list=True), steps(as_list=False))


@pytest.mark.parametrize("infos", [None, [None, None], [{}, {}], "infos", 3, [{"final_observation": 0}, {}]])
def test_infos_matter_only_where_an_episode_ends_in_the_same_step(monkeypatch, infos):
    for mode in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP):
        envs = counting(mode=mode, lengths=(2,))
        stream, step = EnvStream(envs).reset(seed=0), envs.step
        monkeypatch.setattr(envs, "step", lambda actions, step=step: (*step(actions)[:4], infos))
        steps_of(stream, 1)
        if mode == AutoresetMode.NEXT_STEP:
            steps_of(stream, 3)
        else:
            with pytest.raises(EnvironmentFault, match=r"^In step 2, the vector environment gave no final_obs, but"):
                steps_of(stream, 1)


@pytest.mark.parametrize(
    "rewards", [[1.0, 2.0], np.array([1, 2]), np.array([1, 2], object), np.array([1, 2], np.float16)]
)
def test_rewards_of_any_type_of_number_are_welcome(monkeypatch, rewards):
    envs = counting()
    stream, step = EnvStream(envs).reset(seed=0), envs.step
    monkeypatch.setattr(envs, "step", lambda actions: (step(actions)[0], rewards, *step(actions)[2:]))
    (transition,) = steps_of(stream, 1)
    assert transition.rewards.tolist() == [1.0, 2.0]
