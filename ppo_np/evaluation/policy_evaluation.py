"""Evaluate a policy, or any function that acts, in several environments at once."""

import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv
from scipy.special import stdtrit

from ppo_np.config import PPOConfig
from ppo_np.environments.compiled import is_compiled
from ppo_np.environments.make import EnvSource, close_environments, open_environments
from ppo_np.environments.spaces import same_form
from ppo_np.environments.stream import EnvStream, Episode
from ppo_np.errors import UserError, check, short
from ppo_np.evaluation.episodes import DEFAULT_MAX_STEPS, evaluation_env
from ppo_np.learning.on_policy import OnPolicyAlgorithm
from ppo_np.learning.policy import Policy
from ppo_np.network.threads import blas_threads, limit_blas_threads
from ppo_np.saving.foreign import import_notice

Act = Callable[[Any, np.ndarray | None], Any]  # actions for a batch of observations and their masks


@dataclass(frozen=True)
class Evaluation:
    """Returns and lengths of E episodes; rewards are not discounted and not normalised.

    Attributes:
        returns: (E,). lengths: (E,), integers. Episode e is number e // N of environment e % N.
    """

    returns: np.ndarray
    lengths: np.ndarray

    @property
    def mean_return(self) -> float:
        """The mean of the returns."""
        return float(self.returns.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the mean return by Student's t distribution; NaN for a single episode.

        mean +- t s / sqrt(E),   s^2 = sum_e (return_e - mean)^2 / (E - 1),   t the 0.975 quantile with E - 1 degrees

        It is about other episodes of this policy, and not about other runs of the training.
        """
        episodes = len(self.returns)
        if episodes < 2:
            return float("nan"), float("nan")
        half = float(stdtrit(episodes - 1, 0.975) * self.returns.std(ddof=1) / np.sqrt(episodes))
        return self.mean_return - half, self.mean_return + half

    @property
    def mean_length(self) -> float:
        """The mean of the lengths."""
        return float(self.lengths.mean())

    def __str__(self) -> str:
        low, high = self.interval
        mean = f"mean return {self.mean_return:.2f} (95 % confidence interval {low:.2f} to {high:.2f}, t)"
        return f"{len(self.returns)} episodes: {mean}, mean length {self.mean_length:.1f}"


def evaluate_policy(
    policy: Policy | OnPolicyAlgorithm | Callable[[Any], Any], env: EnvSource, episodes: int = 100,
    seed: int = 10_000, *, num_envs: int = 8, deterministic: bool = True, env_kwargs: dict[str, Any] | None = None,
    max_episode_steps: int | None = None, vectorization: Literal["sync", "async"] = "sync",
) -> Evaluation:  # fmt: skip
    """Play episodes in N environments at once. The policy and its statistics do not change.

    Each environment plays a fixed number of episodes, its first ones: E / N, and one more in the first E % N. If simply
    the first E episodes that end were counted, short ones would be too many.

    Args:
        policy: of `load_policy`, or a `PPO`, or a function: a batch of observations -> a batch of actions. Wrappers,
            masks and other settings of the environment are those of the policy's training.
        env: an id, a function that makes a gymnasium.Env, a CompiledEnv class, or a VectorEnv, which stays open.
        episodes: E, >= 1.
        seed: environment i is reset with seed + i, once; drawn actions have a generator of this seed.
        num_envs: N, at most E; that of a VectorEnv counts.
        deterministic: take the most probable actions instead of samples; not for a function.
        env_kwargs: keyword arguments of the environment; None = those of the training.
        max_episode_steps: None means that of the training, else the environment's own limit, else 10,000. A VectorEnv
            must end its episodes by itself.
        vectorization: sync steps an id or a function in this process, async in a process for each environment.

    Raises:
        UserError: An argument is wrong, or `env` does not fit the policy.
        EnvironmentFault: An environment fails, or gives numbers that are not finite.
    """
    check(isinstance(episodes, int) and episodes >= 1, "episodes", episodes, "an integer >= 1")
    check(isinstance(num_envs, int) and num_envs >= 1, "num_envs", num_envs, "an integer >= 1")
    check(vectorization in ("sync", "async"), "vectorization", vectorization, "'sync' or 'async'")
    if isinstance(policy, OnPolicyAlgorithm):
        policy = policy.policy
    allowed = "a Policy, a PPO, or a function of a batch of observations"
    check(isinstance(policy, Policy) or callable(policy), "policy", policy, allowed)
    config = policy.config if isinstance(policy, Policy) else PPOConfig()
    config = replace(
        config, num_envs=min(num_envs, episodes), num_steps=2, num_minibatches=1, seed=seed,
        vectorization=vectorization, env_kwargs=config.env_kwargs if env_kwargs is None else env_kwargs,
        max_episode_steps=max_episode_steps or config.max_episode_steps,
    )  # fmt: skip
    if isinstance(policy, Policy) and (notice := import_notice(policy.source, replace(config, env_id=""))):
        warnings.warn(notice, RuntimeWarning, 2)
    with ExitStack() as at_end:
        envs = _open(config, env, max_episode_steps)
        if envs is not env:
            at_end.callback(close_environments, envs)
        act: Act = lambda obs, mask: policy(obs)  # type: ignore[operator]  # noqa: E731
        if isinstance(policy, Policy):
            _check_spaces(policy, envs)
            act = partial(_predicted, policy, deterministic, np.random.default_rng(seed))
            at_end.enter_context(limit_blas_threads(blas_threads(config, policy.observations.size)))
        stream = EnvStream(envs, config.env_timeout, action_mask=config.action_mask, records=False)
        at_end.enter_context(stream.watched())
        return _played(stream.reset(seed), act, episodes)


def _open(config: PPOConfig, env: EnvSource, max_episode_steps: int | None) -> VectorEnv:
    """The environments, whose episodes end; a VectorEnv as it is."""
    plain = replace(
        config, env_id="", env_kwargs={}, wrappers=(), max_episode_steps=None, obs_grayscale=False, obs_resize=(),
        frame_stack=1, rescale_actions=False,
    )  # fmt: skip
    if isinstance(env, VectorEnv):
        check(max_episode_steps is None, "max_episode_steps", max_episode_steps, "None with a VectorEnv")
        return open_environments(plain, env)[1]
    if is_compiled(env):
        limit = config.max_episode_steps or (None if env.max_episode_steps else DEFAULT_MAX_STEPS)
        return open_environments(replace(config, max_episode_steps=limit), env)[1]
    if env is None or isinstance(env, gymnasium.Env) or not (isinstance(env, str) or callable(env)):
        allowed = "an id, a function that makes a gymnasium.Env, a CompiledEnv class, or a VectorEnv"
        raise UserError(f"env is {short(env)}, but it must be {allowed}.")
    if isinstance(env, str):
        return open_environments(plain, partial(evaluation_env, replace(config, env_id=env)))[1]
    factory: Any = env
    return open_environments(plain, partial(evaluation_env, config, factory=factory))[1]


def _check_spaces(policy: Policy, envs: VectorEnv) -> None:
    """Raise UserError if the environments have other spaces than the policy."""
    trained = policy.observations.space, policy.actions.space
    given = envs.single_observation_space, envs.single_action_space
    for what, own, other in zip(("observations", "actions"), trained, given, strict=True):
        if not same_form(own, other):
            raise UserError(f"env has {what} in {short(other)}, but the policy was trained with {short(own)}.")


def _predicted(
    policy: Policy, deterministic: bool, rng: np.random.Generator, obs: Any, action_mask: np.ndarray | None
) -> np.ndarray:
    return policy.predict(obs, deterministic, action_mask, rng=rng)


def _played(stream: EnvStream, act: Act, episodes: int) -> Evaluation:
    """Step until each environment has played its share of the episodes; see `evaluate_policy`."""
    envs = stream.envs.num_envs
    shares = (episodes + envs - 1 - np.arange(envs)) // envs
    played: list[list[Episode]] = [[] for _ in shares]
    while any(len(of_one) < share for of_one, share in zip(played, shares, strict=True)):
        try:
            actions = act(stream.observed.obs, stream.observed.action_mask)
        except UserError as error:
            raise stream.fault(f"the policy could not act: {str(error).rstrip('.')}") from error
        step = stream.step(np.asarray(actions))
        for n, episode in zip(np.flatnonzero(step.terminations | step.truncations), step.episodes, strict=True):
            played[n].append(episode)
    in_order = [played[e % envs][e // envs] for e in range(episodes)]
    returns, lengths = zip(*in_order, strict=True)
    return Evaluation(np.array(returns, float), np.array(lengths, np.int64))
