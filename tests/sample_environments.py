"""Tiny environments whose every observation and reward can be predicted, known to Gymnasium as ppo_np_test/..."""

import gymnasium
import numpy as np
from gymnasium import spaces


class Counting(gymnasium.Env):
    """Observation (episode, step), reward 1 + action; episode e lasts `lengths[e % len(lengths)]` steps.

    It ends by termination if `ends[e % len(ends)]` has a "T", by truncation if it has a "t", by both if it has both.
    """

    metadata = {"render_modes": []}

    def __init__(self, lengths=(3, 4), ends=("T", "t"), start=0, render_mode=None):
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = spaces.Discrete(2, start=start)
        self.lengths, self.ends, self.start = lengths, ends, start
        self.episode, self.count = -1, 0
        self.actions = []

    def _obs(self):
        return np.array([self.episode, self.count], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode += 1
        self.count = 0
        return self._obs(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.actions.append(int(action))
        self.count += 1
        end = (
            self.ends[self.episode % len(self.ends)]
            if self.count == self.lengths[self.episode % len(self.lengths)]
            else ""
        )
        return self._obs(), 1.0 + float(action - self.start), "T" in end, "t" in end, {}


class Guess(gymnasium.Env):
    """One-step episodes: the observation is one of three, the right action is the same number; reward 1 or 0."""

    metadata = {"render_modes": []}

    def __init__(self, render_mode=None):
        self.observation_space = spaces.Discrete(3)
        self.action_space = spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = int(self.np_random.integers(3))
        return self.state, {}

    def step(self, action):
        reward = float(action == self.state)
        return self.state, reward, True, False, {}


class Screen(Counting):
    """Counting, but an episode ends only after `length` steps, and `frame(step)` is what `render` returns."""

    metadata = {"render_modes": ["rgb_array"]}

    def __init__(self, frame=None, length=10**9, render_mode="rgb_array"):
        super().__init__(lengths=(length,))
        self.frame, self.render_mode = frame, render_mode

    def render(self):
        return self.frame(self.count)


class Endless(gymnasium.Env):
    """Observations of no fixed length, which no network here can take."""

    metadata = {"render_modes": ["rgb_array"]}

    def __init__(self, render_mode=None):
        self.observation_space = spaces.Sequence(spaces.Discrete(2))
        self.action_space = spaces.Discrete(2)
        self.render_mode = render_mode


def register():
    """Make the environments known to `gymnasium.make`; doing so twice is harmless."""
    own = {"Counting-v0": Counting, "Guess-v0": Guess, "Endless-v0": Endless, "Screen-v0": Screen}
    for name, environment in own.items():
        if f"ppo_np_test/{name}" not in gymnasium.registry:
            gymnasium.register(f"ppo_np_test/{name}", environment)
    vector = "gymnasium.envs.classic_control.cartpole:CartPoleVectorEnv"
    if "ppo_np_test/TwoKinds-v0" not in gymnasium.registry:  # its vector version has other observations
        gymnasium.register("ppo_np_test/TwoKinds-v0", Counting, vector_entry_point=vector)


register()
