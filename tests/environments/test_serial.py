"""SerialEnvs gives what Gymnasium's SyncVectorEnv gives."""

import gymnasium
import numpy as np
import pytest
import sample_environments
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from ppo_np.environments.guard import Guard
from ppo_np.environments.serial import SerialEnvs


class Nested(gymnasium.Env):
    """Observations and actions in parts; episodes of 3 steps."""

    observation_space = gymnasium.spaces.Dict(
        {"numbers": gymnasium.spaces.Box(-np.inf, np.inf, (2,)), "choice": gymnasium.spaces.Discrete(3)}
    )
    action_space = gymnasium.spaces.Tuple([gymnasium.spaces.Discrete(3), gymnasium.spaces.Box(-1, 1, (2,))])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return {"numbers": self.np_random.random(2, np.float32), "choice": 0}, {}

    def step(self, action):
        self.steps += 1
        choice, numbers = action
        obs = {"numbers": numbers.copy(), "choice": int(choice)}
        return obs, float(numbers[0]), False, self.steps == 3, {}


def make(name):
    return {"nested": Nested, "guess": sample_environments.Guess, "counting": sample_environments.Counting}.get(
        name, lambda: gymnasium.make(name)
    )


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize(
    "name", ["nested", "guess", "counting", "CartPole-v1", "Pendulum-v1", "LunarLander-v3", "FrozenLake-v1"]
)
def test_the_same_transitions(name, guarded):
    one_env = make(name)
    ours = SerialEnvs([(lambda: Guard(one_env(), 0)) if guarded else one_env] * 3)
    theirs = SyncVectorEnv([make(name)] * 3, autoreset_mode=AutoresetMode.SAME_STEP)
    np.testing.assert_equal(ours.reset(seed=4)[0], theirs.reset(seed=4)[0])
    theirs.action_space.seed(1)
    ends = 0
    for _ in range(250):
        actions = theirs.action_space.sample()
        (*one, infos), (*other, their_infos) = ours.step(actions), theirs.step(actions)
        np.testing.assert_equal(one, other)
        assert ("final_obs" in infos) == ("final_obs" in their_infos)
        for final, expected in zip(infos.get("final_obs", ()), their_infos.get("final_obs", ()), strict=True):
            np.testing.assert_equal(final, expected)
            ends += final is not None
    assert ends > 0
    ours.close()
    theirs.close()


@pytest.mark.parametrize(("of_gymnasium", "kind"), [((True, True), int), ((True, False), np.int64)])
def test_python_s_integers_only_where_all_environments_take_them(of_gymnasium, kind):
    class Seeing(sample_environments.Guess):
        def step(self, action):
            kinds.append(type(action))
            return super().step(action)

    def guarded(own):
        env = Guard(Seeing(), 0)
        env.takes_integers = own
        return env

    kinds = []
    envs = SerialEnvs([lambda own=own: guarded(own) for own in of_gymnasium])
    envs.reset(seed=0)
    envs.step(np.zeros(2, np.int64))
    assert kinds == [int, kind]


def test_flags_of_a_step_that_ended_episodes_do_not_stay():
    envs = SerialEnvs([lambda: sample_environments.Counting((3,)), lambda: sample_environments.Counting((2,))])
    envs.reset(seed=0)
    ends = [envs.step(np.zeros(2, np.int64))[2:4] for _ in range(6)]
    assert [(a | b).tolist() for a, b in ends] == [[step % 3 == 0, step % 2 == 0] for step in range(1, 7)]


@pytest.mark.parametrize("actions", [2, 4])
def test_as_many_actions_as_environments(actions):
    envs = SerialEnvs([sample_environments.Guess] * 3)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=r"zip\(\) argument"):
        envs.step(np.zeros(actions, np.int64))
