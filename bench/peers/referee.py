"""Who has solved the environment, and when: the same greedy episodes and the same clock for all contestants."""

import time
from collections.abc import Callable

import gymnasium
import numpy as np

from bench.peers.protocol import Job, Race


def pendulum_job(race: Race) -> Job:
    """What RLtools' published example for Pendulum does: https://github.com/rl-tools/rl-tools, pendulum/ppo."""
    return Job(
        env_id="Pendulum-v1", vectorization=race.vectorization, num_envs=4, num_steps=1024, num_minibatches=16,
        update_epochs=2, learning_rate=1e-3, gamma=0.9, ent_coef=0.0, activation="relu", threads=race.threads,
        seed=race.seed, total_timesteps=race.total_timesteps,
    )  # fmt: skip


class Referee:
    """Evaluates at intervals, and stops the clock meanwhile.

    Attributes:
        curve: one dictionary an evaluation: step, seconds (evaluations left out), mean_return.
    """

    def __init__(self, race: Race):
        self.race, self.curve, self.not_counted, self.next_check = race, [], 0.0, race.check_every

    def solved(self, step: int, act: Callable[[np.ndarray], np.ndarray]) -> bool:
        """Whether the policy has solved the environment; it is evaluated only when that is due.

        Args:
            step: transitions done.
            act: greedy actions, (B,), for observations, (B, D).
        """
        if step < self.next_check:
            return False
        self.next_check = step - step % self.race.check_every + self.race.check_every
        begin = time.time()
        mean_return = float(np.mean(greedy_returns(act, self.race)))
        seconds = begin - self.race.started - self.not_counted
        self.not_counted += time.time() - begin
        self.curve.append({"step": step, "seconds": seconds, "mean_return": mean_return})
        return mean_return >= self.race.threshold

    def verdict(self) -> dict:
        """The curve, and the seconds and steps to the solution; None if there was none."""
        done = [one for one in self.curve if one["mean_return"] >= self.race.threshold]
        first = done[0] if done else {"seconds": None, "step": None}
        return {"curve": self.curve, "solved_seconds": first["seconds"], "solved_step": first["step"]}


def greedy_returns(act: Callable[[np.ndarray], np.ndarray], race: Race) -> list[float]:
    """Returns of greedy episodes, played side by side so that the policy is asked for all of them at once."""
    envs = [gymnasium.make(race.env_id) for _ in range(race.episodes)]
    observations = [env.reset(seed=race.first_seed + i)[0] for i, env in enumerate(envs)]
    returns, playing = [0.0] * race.episodes, list(range(race.episodes))
    while playing:
        actions = act(np.stack([observations[i] for i in playing]))
        for i, action in zip(tuple(playing), actions, strict=True):
            observations[i], reward, terminated, truncated, _ = envs[i].step(action)
            returns[i] += float(reward)
            if terminated or truncated:
                playing.remove(i)
    return returns
