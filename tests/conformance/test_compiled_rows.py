"""Every row of compiled environments against the oracle: their truncations come after a fixed number of steps."""

import itertools

import pytest
from episodes import ACTION_SPACE, OBS_SPACE, reward_of
from test_every_row import check

from ppo_np import CompiledEnv
from ppo_np.environments.compiled_envs import CompiledVectorEnv

LIMIT = 4
SCRIPTS = {
    "long": (((4, "t"),), ((3, "T"),), ((4, "Tt"),)),
    "two in a row": (((1, "T"), (1, "T"), (4, "t")), ((4, "Tt"), (1, "T")), ((2, "T"), (4, "t"), (4, "t"))),
    "one environment": (((2, "T"), (4, "t"), (1, "T")),),
}


class Logged(CompiledVectorEnv):
    """Keeps the actions that arrived."""

    def step(self, actions):
        for own, action in zip(self.sent, actions, strict=True):
            own.append(int(action))
        return super().step(actions)


def compiled_envs(scripts):
    """A compiled environment that follows a script for each generator, which it tells apart by its identity."""
    generators = []

    class ScriptedModel(CompiledEnv):
        """The state: index, episode, step, and the length of the episode if it ends by termination."""

        observation_space, action_space = OBS_SPACE, ACTION_SPACE
        max_episode_steps = LIMIT

        def reset(self, rng):
            if not any(rng is known for known, _ in generators):
                generators.append((rng, itertools.count()))
            index = next(n for n, (known, _) in enumerate(generators) if known is rng) - 1  # the first is for the trial
            episode = next(generators[index + 1][1])
            length, end = scripts[index][episode % len(scripts[index])]
            assert ("t" in end) == (length == LIMIT)
            return [index, episode, 0, length if "T" in end else -1]

        step, observe = staticmethod(scripted_step), staticmethod(scripted_observe)

    envs = Logged(ScriptedModel, len(scripts))
    envs.sent = [[] for _ in scripts]
    return envs


def scripted_step(state, action):
    reward = 0.5 * state[1] - 0.25 * state[2] + 2 * (action - 5) + 1
    state[2] += 1
    return reward, state[2] == state[3]


def scripted_observe(state, obs):
    obs[:] = state[:3]


def test_the_reward_is_that_of_the_other_environments():
    for state, action in (([0.0, 3, 2, 9], 7), ([1.0, 0, 4, 9], 5)):
        assert scripted_step(state.copy(), action)[0] == reward_of(*state[1:3], action - 5)


@pytest.mark.parametrize("num_steps", [1, 5])
@pytest.mark.parametrize("name", SCRIPTS)
def test_every_row_is_as_predicted(name, num_steps):
    check(compiled_envs(SCRIPTS[name]), SCRIPTS[name], num_steps)
