"""Train on an environment of your own: `python examples/custom_environment.py`."""

from typing import Any

import gymnasium
import numpy as np

from ppo_np import PPO


class Thermostat(gymnasium.Env):
    """Heat a room for a day: the observation is (temperature, target), the action 1 heats for five minutes, 0 not."""

    observation_space = gymnasium.spaces.Box(-50, 50, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Begin at midnight in a cold room."""
        super().reset(seed=seed)
        self.minutes, self.temperature, self.target = 0, self.np_random.uniform(5, 15), self.np_random.uniform(18, 24)
        return np.array([self.temperature, self.target], np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Let five minutes pass; the reward is minus the distance from the target."""
        self.minutes += 5
        self.temperature += 0.5 * action - 0.02 * (self.temperature - 5)
        distance = abs(self.temperature - self.target)
        # The day ends by the clock, not by what was done: it is truncated.
        return np.array([self.temperature, self.target], np.float32), -distance, False, self.minutes >= 24 * 60, {}


if __name__ == "__main__":
    ppo = PPO(Thermostat, total_timesteps=40_000, num_steps=128).learn(progress=True)
    for temperature in (15.0, 19.0, 21.0, 25.0):
        observation = np.array([temperature, 20.0], np.float32)
        print(f"{temperature} degrees, target 20: heating {'on' if ppo.predict(observation) else 'off'}")
