"""What docs/environments.md says about several agents with one policy, with a parallel environment of our own."""

import re
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

from ppo_np import PPO, PPOConfig
from ppo_np.environments.stream import EnvStream
from ppo_np.errors import EnvironmentFault

PAGE = (Path(__file__).parents[2] / "docs" / "environments.md").read_text()
RECIPE, _, SUPERSUIT = re.findall(
    r"```python\n(.*?)```", PAGE.split("## Several agents with one policy")[1], re.DOTALL
)[:3]


class Parallel:
    """PettingZoo's parallel API: observation (game, agent, step); agents get the reward game + agent + action."""

    possible_agents = ("a", "b", "c")

    def __init__(self, number, length, ends="truncation", alone=False):
        self.number, self.length, self.ends, self.alone = number, length, ends, alone

    def observation_space(self, agent):
        return spaces.Box(-np.inf, np.inf, (3,), np.float32)

    def action_space(self, agent):
        return spaces.Discrete(2)

    def _of_all(self, value):
        return {agent: value(i) for i, agent in reversed(list(enumerate(self.possible_agents)))}

    def _obs(self):
        return self._of_all(lambda i: np.array([self.number, i, self.steps], np.float32))

    def reset(self, seed=None, options=None):
        self.seed = seed if seed is not None else self.seed
        self.steps = 0
        return self._obs(), self._of_all(lambda i: {})

    def step(self, actions):
        self.steps += 1
        ended = self.steps == self.length
        rewards = self._of_all(lambda i: self.number + i + actions[self.possible_agents[i]])
        terminations = self._of_all(lambda i: ended and self.ends == "termination" and not (self.alone and i))
        truncations = self._of_all(lambda i: ended and self.ends == "truncation")
        return self._obs(), rewards, terminations, truncations, self._of_all(lambda i: {"x": np.zeros(i)})

    def close(self):
        self.closed = True


def shared_weights(*games):
    scope = {}
    exec(RECIPE, scope)
    return scope["SharedWeights"](list(games))


def test_each_agent_is_an_environment():
    games = Parallel(0, 3), Parallel(10, 2, "termination")
    envs = shared_weights(*games)
    stream = EnvStream(envs).reset(seed=5)
    assert [game.seed for game in games] == [5, 6]
    places = [[0, 0], [0, 1], [0, 2], [10, 0], [10, 1], [10, 2]]
    assert stream.observed.obs.tolist() == [[*place, 0] for place in places]
    for step in range(1, 7):
        actions = np.arange(6) % 2
        transition = stream.step(actions)
        assert transition.rewards.tolist() == [
            sum(place) + action for place, action in zip(places, actions, strict=True)
        ]
        assert transition.truncations.tolist() == [step % 3 == 0] * 3 + [False] * 3
        assert transition.terminations.tolist() == [False] * 3 + [step % 2 == 0] * 3
        assert stream.observed.obs.tolist() == [[*place, step % 3 if place[0] == 0 else step % 2] for place in places]
        if transition.final:
            shown = [None if obs is None else obs.tolist() for obs in transition.final.obs]
            assert shown[:3] == ([[0, i, 3] for i in range(3)] if step % 3 == 0 else [None] * 3)
            assert shown[3:] == ([[10, i, 2] for i in range(3)] if step % 2 == 0 else [None] * 3)


def test_one_policy_learns_from_all_agents():
    games = Parallel(0, 7), Parallel(1, 5, "termination")
    config = PPOConfig(num_steps=32, num_minibatches=1, total_timesteps=6 * 32 * 2, shared_sizes=(8,))
    ppo = PPO(config, shared_weights(*games)).learn()
    assert (ppo.config.num_envs, ppo.global_step, len(ppo.recent_episodes)) == (6, 384, 3 * (64 // 7 + 64 // 5))
    ppo.close()
    assert all(game.closed for game in games)


def test_agents_that_end_alone_are_refused():
    stream = EnvStream(shared_weights(Parallel(0, 2, "termination", alone=True))).reset(seed=0)
    stream.step(np.zeros(3, int))
    with pytest.raises(EnvironmentFault, match="raised ValueError: some agents ended before the others"):
        stream.step(np.zeros(3, int))


def test_the_lines_for_supersuit_say_what_is_missing():
    for name in ("single_observation_space", "single_action_space", "autoreset_mode"):
        assert name in SUPERSUIT
