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


class Cards(gymnasium.Env):
    """Play the cards of a hand, one a step; a card that is not in the hand is an AssertionError.

    The observation is the hand (5 flags) and the trump (one-hot); reward 1 for playing the trump first, else 0. The
    mask is in the infos and a method; of the last step, where no card is left, it allows nothing.

    Args:
        sides: 1 for Discrete actions; more for MultiDiscrete ones (card, side), where only one side is valid: that of
            the number of cards in the hand.
        end: "T" if episodes terminate, "t" if they are truncated.
        mask: what is given instead of the mask, if not None; called with the mask.
    """

    metadata = {"render_modes": ["rgb_array"]}

    def __init__(self, sides=1, end="T", mask=None, render_mode=None):
        self.observation_space = spaces.Box(0, 1, (10,), np.float32)
        self.action_space = spaces.Discrete(5) if sides == 1 else spaces.MultiDiscrete([5, sides])
        self.sides, self.end, self.mask, self.render_mode = sides, end, mask, render_mode

    def action_masks(self):
        side = np.arange(self.sides) == self.hand.sum() % self.sides
        mask = self.hand if self.sides == 1 else np.concatenate([self.hand, side & self.hand.any()])
        return mask if self.mask is None else self.mask(mask)

    def _shown(self):
        obs = np.concatenate([self.hand, np.arange(5) == self.trump]).astype(np.float32)
        return obs, {"action_mask": self.action_masks(), "of no use": object()}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.trump = int(self.np_random.integers(5))
        self.hand = self.np_random.random(5) < 0.5
        self.hand[self.trump] = True
        self.first = True
        return self._shown()

    def step(self, action):
        card, *side = np.reshape(action, -1)
        assert self.hand[card], f"card {card} is not in the hand"
        assert not side or side[0] == self.hand.sum() % self.sides, f"side {side[0]} is not valid"
        reward = float(self.first and card == self.trump)
        self.hand = self.hand & (np.arange(5) != card)
        self.first = False
        done = not self.hand.any()
        obs, info = self._shown()
        return obs, reward, done and self.end == "T", done and self.end == "t", info

    def render(self):
        return np.full((16, 16, 3), 50 * self.hand.sum(), np.uint8)


class Screen(Counting):
    """Counting, but an episode ends only after `length` steps, and `frame(step)` is what `render` returns."""

    metadata = {"render_modes": ["rgb_array"]}

    def __init__(self, frame=None, length=10**9, render_mode="rgb_array"):
        super().__init__(lengths=(length,))
        self.frame, self.render_mode = frame, render_mode

    def render(self):
        return self.frame(self.count)


class Picture(gymnasium.Env):
    """Random images of uint8, 4 x 6 with three colours; a reward for an action with the right sign; either end."""

    metadata = {"render_modes": []}
    observation_space = spaces.Box(0, 255, (4, 6, 3), np.uint8)
    action_space = spaces.Box(0, 1000, (1,), np.float32)

    def __init__(self, render_mode=None):
        self.actions = []

    def _obs(self):
        self.picture = self.np_random.integers(0, 256, (4, 6, 3), dtype=np.uint8)
        return self.picture

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._obs(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.actions.append(action.copy())
        reward = float((action[0] > 500) == (self.picture.mean() > 127))
        terminated, truncated = (bool(u < 0.1) for u in self.np_random.random(2))
        return self._obs(), reward, terminated, truncated, {}


class Endless(gymnasium.Env):
    """Observations of no fixed length, which no network here can take."""

    metadata = {"render_modes": ["rgb_array"]}

    def __init__(self, render_mode=None):
        self.observation_space = spaces.Sequence(spaces.Discrete(2))
        self.action_space = spaces.Discrete(2)
        self.render_mode = render_mode


def register():
    """Make the environments known to `gymnasium.make`; doing so twice is harmless."""
    own = {"Counting-v0": Counting, "Guess-v0": Guess, "Endless-v0": Endless, "Screen-v0": Screen, "Cards-v0": Cards}
    for name, environment in (own | {"Picture-v0": Picture}).items():
        if f"ppo_np_test/{name}" not in gymnasium.registry:
            gymnasium.register(f"ppo_np_test/{name}", environment)
    vector = "gymnasium.envs.classic_control.cartpole:CartPoleVectorEnv"
    if "ppo_np_test/TwoKinds-v0" not in gymnasium.registry:  # its vector version has other observations
        gymnasium.register("ppo_np_test/TwoKinds-v0", Counting, vector_entry_point=vector)


register()
