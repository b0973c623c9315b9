"""Whole episodes in a single environment, one seed an episode, and the statistics of their returns."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ppo_np.environments.guard import Guard
from ppo_np.environments.stream import Episode
from ppo_np.errors import EnvironmentFault, UserError
from ppo_np.learning.policy import Policy


def play_episode(
    env: Guard,
    policy: Policy,
    seed: int,
    deterministic: bool,
    frames: list[np.ndarray] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Episode | None:
    """Play one episode from a seed until it terminates or truncates.

    Args:
        env: gives true rewards, whatever was done to them in training.
        policy: acts; statistics of observations stand still.
        seed: of the environment's reset, and of the actions if they are drawn.
        deterministic: the most probable actions; otherwise drawn ones.
        frames: gets the rendered frames, (H, W, 3) uint8 each, if given.
        stopped: asked before each step; once it holds, None is returned.

    Raises:
        EnvironmentFault: The environment failed, or gave an observation that is not finite.
    """
    rng = np.random.default_rng(seed)
    episodic_return, episodic_length, done = 0.0, 0, False
    try:
        obs, _ = env.reset(seed=seed)
        while not done:
            if stopped():
                return None
            if frames is not None:
                frames.append(env.render())
            obs, reward, terminated, truncated, _ = env.step(_act(policy, obs, deterministic, rng))
            episodic_return += float(reward)
            episodic_length += 1
            done = terminated or truncated
    except EnvironmentFault as fault:
        where = f"In step {episodic_length + 1} of the episode with seed {seed}"
        raise EnvironmentFault(f"{where}, {fault}.") from fault.__cause__
    if frames is not None:
        frames.append(env.render())
    return Episode(episodic_return, episodic_length)


def _act(policy: Policy, obs: Any, deterministic: bool, rng: np.random.Generator):
    """The policy's action; what it refuses is the environment's fault here."""
    try:
        return policy.predict(obs, deterministic, rng)
    except UserError as error:
        raise EnvironmentFault(f"the policy could not act: {str(error).rstrip('.')}") from error


def statistics(episodes: list[Episode], threshold: float | None) -> dict[str, Any]:
    """Mean, spread and range of the returns of at least one episode.

    Args:
        episodes: as played.
        threshold: the environment's reward threshold; None if it has none.

    Returns:
        mean_return, std_return, min_return, max_return, mean_length, episodes, reward_threshold, success_rate (share of
        episodes at or above the threshold; None without one), returns.
    """
    returns, lengths = (np.array(column, float) for column in zip(*episodes, strict=True))
    return {
        "mean_return": float(returns.mean()),
        "std_return": float(returns.std()),
        "min_return": float(returns.min()),
        "max_return": float(returns.max()),
        "mean_length": float(lengths.mean()),
        "episodes": len(episodes),
        "reward_threshold": threshold,
        "success_rate": None if threshold is None else float((returns >= threshold).mean()),
        "returns": returns.tolist(),
    }
