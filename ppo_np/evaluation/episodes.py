"""Episodes in a single environment, with one seed per episode, and the statistics of their returns."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ppo_np.environments.guard import Guard
from ppo_np.environments.stream import Episode
from ppo_np.errors import EnvironmentFault, UserError
from ppo_np.learning.policy import Policy


def play_episode(
    env: Guard, policy: Policy, seed: int, deterministic: bool,
    frames: list[np.ndarray] | None = None, stopped: Callable[[], bool] = lambda: False,
) -> Episode | None:  # fmt: skip
    """Play one episode until it terminates or truncates. Rewards are not normalised.

    Args:
        env: the environment.
        policy: chooses the actions; its running statistics of observations do not change.
        seed: for the reset of the environment, and for the actions if they are sampled.
        deterministic: take the most probable actions instead of samples.
        frames: if given, the rendered frames, (H, W, 3) uint8 each, are appended to it.
        stopped: called before each step; if it returns True, the episode ends and None is returned.

    Raises EnvironmentFault if the environment fails or gives an observation that is not finite.
    """
    rng = np.random.default_rng(seed)
    episodic_return, episodic_length = 0.0, 0
    done = False
    try:
        obs, _ = env.reset(seed=seed)
        while not done:
            if stopped():
                return None
            if frames is not None:
                frames.append(np.asarray(env.render()))
            obs, reward, terminated, truncated, _ = env.step(_act(policy, obs, deterministic, rng))
            episodic_return += float(reward)
            episodic_length += 1
            done = terminated or truncated
    except EnvironmentFault as fault:
        where = f"In step {episodic_length + 1} of the episode with seed {seed}"
        raise EnvironmentFault(f"{where}, {fault}.") from fault.__cause__
    if frames is not None:
        frames.append(np.asarray(env.render()))
    return Episode(episodic_return, episodic_length)


def _act(policy: Policy, obs: Any, deterministic: bool, rng: np.random.Generator) -> Any:
    """The action of the policy. An observation that it refuses is a fault of the environment."""
    try:
        return policy.predict(obs, deterministic, rng)
    except UserError as error:
        raise EnvironmentFault(f"the policy could not act: {str(error).rstrip('.')}") from error


def statistics(episodes: Sequence[Episode], threshold: float | None) -> dict[str, Any]:
    """Statistics of the returns of at least one episode, by name.

    success_rate is the share of episodes at or above the environment's reward threshold; None if it has no threshold.
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
