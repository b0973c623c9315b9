"""Episodes in a single environment, with one seed per episode, and the statistics of their returns."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv
from gymnasium.wrappers import TimeLimit

from ppo_np.config import PPOConfig
from ppo_np.environments.action_masks import MASK
from ppo_np.environments.guard import Guard
from ppo_np.environments.make import Factory, make_env, spaces_of
from ppo_np.environments.spaces import same_form
from ppo_np.environments.stream import LARGEST, Episode
from ppo_np.errors import EnvironmentFault, UserError, short
from ppo_np.learning.policy import Policy

DEFAULT_MAX_STEPS = 10_000


class Progress:
    """Tells, at most once in `seconds`, how far an evaluation of so many `episodes` is.

    `show` is called with the text, which `str` also gives.
    """

    def __init__(self, show: Callable[[str], None], episodes: int, seconds: float = 10.0):
        self._show, self._episodes, self._seconds = show, episodes, seconds
        self._next = time.monotonic() + seconds
        self._number, self._steps, self._return = 1, 0, 0.0

    def after_step(self, number: int, steps: int, episodic_return: float) -> None:
        """Episode `number`, counted from 1, has had so many steps and this return."""
        self._number, self._steps, self._return = number, steps, episodic_return
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self._seconds
            self._show(str(self))

    def __str__(self) -> str:
        return f"episode {self._number} of {self._episodes}, step {self._steps:,}, return {self._return:.2f}"


def evaluation_env(
    config: PPOConfig, max_episode_steps: int | None = None, render_mode: str | None = None,
    factory: Factory | None = None,
) -> gymnasium.Env:  # fmt: skip
    """Make an environment whose episodes end, after `max_episode_steps` at the latest; `factory` as for `make_env`.

    None means `config.max_episode_steps`, else the limit that the environment registers, or 10,000 if it registers
    none. Raises UserError as `make_env`.
    """
    if max_episode_steps is not None:
        config = replace(config, max_episode_steps=max_episode_steps)
    env = make_env(config, render_mode, factory)
    unlimited = config.max_episode_steps is None and (env.spec is None or env.spec.max_episode_steps is None)
    return TimeLimit(env, DEFAULT_MAX_STEPS) if unlimited else env


def step_limit(env: gymnasium.Env) -> int:
    """The largest number of steps of an episode in an environment that `evaluation_env` has made."""
    return (env.spec and env.spec.max_episode_steps) or DEFAULT_MAX_STEPS


def obstacle(config: PPOConfig, envs: VectorEnv) -> str:
    """Why a policy that was trained in `envs` cannot play episodes in a single environment; empty if it can."""
    try:
        spaces = spaces_of(config)
    except Exception as error:  # a UserError, or whatever the environment raises
        return str(error).rstrip(".")
    for what, single in zip(("observation_space", "action_space"), spaces, strict=True):
        trained = getattr(envs, f"single_{what}")
        if not same_form(single, trained):
            return (
                f"the {what} of a single {config.env_id} is {short(single)}, and that of the training {short(trained)}"
            )
    return ""


def play_episode(
    env: Guard, policy: Policy, seed: int, deterministic: bool,
    after_step: Callable[[int, float], None] = lambda steps, episodic_return: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Episode | None:  # fmt: skip
    """Play one episode until it terminates or truncates. Rewards are not normalised.

    Args:
        env: the environment.
        policy: chooses the actions; its running statistics of observations do not change.
        seed: for the reset of the environment, and for the actions if they are sampled.
        deterministic: take the most probable actions instead of samples.
        after_step: called after each step with the number of steps and the sum of the rewards.
        stopped: called before each step; if it returns True, the episode ends and None is returned.

    Raises EnvironmentFault if the environment fails, or gives an observation that is not finite or a reward that is not
    a finite number up to 1e15.
    """
    rng = np.random.default_rng(seed)
    episodic_return, episodic_length = 0.0, 0
    done = False
    try:
        obs, info = env.reset(seed=seed)
        while not done:
            if stopped():
                return None
            obs, reward, terminated, truncated, info = env.step(_act(policy, obs, deterministic, rng, info.get(MASK)))
            if not abs(float(reward)) <= LARGEST:  # as in training; also NaN
                allowed = f"a finite number up to {LARGEST:g}"
                raise EnvironmentFault(f"environment {env.index} gave the reward {reward}, but it must be {allowed}")
            episodic_return += float(reward)
            episodic_length += 1
            done = terminated or truncated
            after_step(episodic_length, episodic_return)
    except EnvironmentFault as fault:
        where = f"In step {episodic_length + 1} of the episode with seed {seed}"
        raise EnvironmentFault(f"{where}, {fault}.") from fault.__cause__
    return Episode(episodic_return, episodic_length)


def _act(
    policy: Policy, obs: Any, deterministic: bool, rng: np.random.Generator, action_mask: np.ndarray | None
) -> Any:
    """The action of the policy. An observation that it refuses is a fault of the environment."""
    try:
        return policy.predict(obs, deterministic, action_mask, rng=rng)
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
