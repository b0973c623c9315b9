"""An environment whose actions are far from [-1, 1], and two ways to train on it.

python -m ppo_np.train --env-id examples.dosing:Dosing-v0 --action-distribution beta
python -m ppo_np.train --env-id examples.dosing:Dosing-v0 --rescale-actions
"""

from typing import Any

import gymnasium
import numpy as np


class Dosing(gymnasium.Env):
    """Once an hour, give a dose of 0 to 1,000 mg so that the amount of a drug in the body stays near a target.

    The body loses 30 % of the amount in each hour. Observation: the amount and the target, in g. Reward:
    -|amount - target| / target after the dose. An episode lasts 20 hours; the target is drawn between 0.3 and 2 g.
    """

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(0, 10, (2,), np.float32)
        self.action_space = gymnasium.spaces.Box(0, 1000, (1,), np.float32)

    def _observation(self) -> np.ndarray:
        return np.array([self.amount, self.target], np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Begin with nothing in the body and another target."""
        super().reset(seed=seed)
        self.amount, self.target = 0.0, self.np_random.uniform(0.3, 2.0)
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Give a dose, (1,), in mg, and let an hour pass."""
        self.amount += float(action[0]) / 1000
        reward = -abs(self.amount - self.target) / self.target
        self.amount *= 0.7
        return self._observation(), reward, False, False, {}


# The best policy gives all that fits at first, then replaces what was lost: its mean return is about -0.3.
gymnasium.register("Dosing-v0", "examples.dosing:Dosing", max_episode_steps=20, reward_threshold=-1.0)
