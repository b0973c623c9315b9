"""Makes environments by id or by a factory, and puts them together as a vector environment."""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import gymnasium
from gymnasium.vector import VectorEnv

from ppo_np.config import PPOConfig
from ppo_np.distributed.ranks import ALONE, Ranks
from ppo_np.environments.film import Film, VideoOptions
from ppo_np.environments.guard import Guard
from ppo_np.environments.serial import SerialEnvs
from ppo_np.environments.spaces import ObservationAdapter
from ppo_np.environments.workers import WorkerEnvs
from ppo_np.errors import UserError, require_extra
from ppo_np.network.action_head import action_head

EnvSource = str | Callable[[], gymnasium.Env] | VectorEnv | None


def make_env(env_id: str, render_mode: str | None = None) -> gymnasium.Env:
    """Make one environment by its Gymnasium id; "module:id" imports the module first.

    Raises:
        UserError: The id is unknown or outdated, a package that the environment needs is missing, or it cannot render.
    """
    with _as_user_error(env_id):
        env = gymnasium.make(env_id, render_mode=render_mode) if render_mode else gymnasium.make(env_id)
    if render_mode and render_mode not in env.metadata.get("render_modes", ()):
        raise UserError(f"env_id is {env_id!r}, but a video needs an environment with the render mode {render_mode}.")
    return env


@contextmanager
def _as_user_error(env_id: str) -> Iterator[None]:
    """Turn Gymnasium's exceptions about an id into a `UserError`; show its warnings only if there was no exception."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            module, *more = env_id.split(":")
            if more and (len(more) > 1 or not all(module.split("."))):
                raise gymnasium.error.Error("an id may have only one colon, after the full name of a module to import")
            yield
        except (gymnasium.error.Error, ImportError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"env_id is {env_id!r}, but no such environment can be made: {reason}") from error
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def spaces_of(env_id: str) -> tuple[gymnasium.Space, gymnasium.Space]:
    """Observation space and action space of an environment; raises UserError as `make_env` does."""
    env = make_env(env_id)
    env.close()
    return env.observation_space, env.action_space


def make_vector_env(
    config: PPOConfig,
    factory: Callable[[], gymnasium.Env] | None = None,
    video: VideoOptions | None = None,
    seed: int | None = None,
    ranks: Ranks = ALONE,
) -> VectorEnv:
    """Make this rank's share of `config.num_envs` environments, vectorised as `config.vectorization` says.

    "sync" and "async" reset an environment in the step that ends its episode; "vector" and "envpool" in the next step.

    Args:
        config: `env_id`, `num_envs` and `vectorization` describe the environments.
        factory: makes one environment; None makes it by `config.env_id`.
        video, seed, ranks: as for `open_environments`.

    Raises:
        UserError: As `make_env`; or a space or this vectorisation is not supported for the environment; or the ranks
            cannot share the environments evenly.
    """
    own = ranks.envs(config.num_envs)
    if config.vectorization in ("vector", "envpool"):
        if factory or video:
            what = "a factory" if factory else "a video"
            raise UserError(f"vectorization is {config.vectorization!r}, but {what} needs 'sync' or 'async'.")
        if config.vectorization == "vector":
            with _as_user_error(config.env_id):
                return gymnasium.make_vec(config.env_id, len(own), vectorization_mode="vector_entry_point")
        seed = config.seed if seed is None else seed
        return _envpool(config, len(own), seed + own.start, config.num_env_threads or ranks.cores)
    if factory and video:
        raise UserError("video needs environments that are made by their env_id, but env is a factory.")
    make = factory or partial(make_env, config.env_id)
    _check(make, config, video)
    in_workers = config.vectorization == "async"
    unfilmed = os.getpid() if in_workers else None  # AsyncVectorEnv makes one environment here to see its spaces
    factories = [partial(_guarded, make, index, video, unfilmed) for index in own]
    if in_workers:
        return WorkerEnvs(factories, config.env_timeout, first=own.start)
    envs = SerialEnvs(factories)
    if len({id(env.unwrapped) for env in envs.envs}) < len(own):
        envs.close()
        raise UserError("env makes the same object again and again, but each call must make another environment.")
    return envs


def _check(make: Callable[..., gymnasium.Env], config: PPOConfig, video: VideoOptions | None) -> None:
    """Raise UserError for environments that are not supported, before anything is started or filmed."""
    env = make(render_mode="rgb_array") if video else make()
    if not isinstance(env, gymnasium.Env):
        raise UserError(f"env makes {type(env).__name__} objects, but it must make a gymnasium.Env.")
    try:
        ObservationAdapter(env.observation_space)
        action_head(env.action_space, config)
    finally:
        env.close()


def _guarded(make: Callable[..., gymnasium.Env], index: int, video: VideoOptions | None, unfilmed: int | None) -> Guard:
    """Environment number `index`; number 0 is filmed, but not in the process `unfilmed`."""
    if video and index == 0 and os.getpid() != unfilmed:
        return Guard(Film(make(render_mode="rgb_array"), video), index)
    return Guard(make(), index)


def _envpool(config: PPOConfig, num_envs: int, seed: int, threads: int) -> VectorEnv:
    """EnvPool's environments, which step in at most `threads` C++ threads; environment i has the seed `seed` + i."""
    require_extra("envpool", "envpool", "vectorization 'envpool'")
    import envpool

    if config.env_id not in envpool.list_all_envs():
        raise UserError(f"env_id is {config.env_id!r}, but EnvPool has no such environment.")
    threads = min(threads, num_envs)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*precision lowered by casting.*")
        envs = envpool.make(config.env_id, env_type="gymnasium", num_envs=num_envs, num_threads=threads, seed=seed)
        envs.single_observation_space, envs.single_action_space  # noqa: B018  now EnvPool builds and stores them
    assert isinstance(envs, VectorEnv)  # which EnvPool's annotations do not say
    return envs


def open_environments(
    config: PPOConfig, env: EnvSource, video: VideoOptions | None = None, seed: int | None = None, ranks: Ranks = ALONE
) -> tuple[PPOConfig, VectorEnv]:
    """The vector environment to train on, and the settings, in which `env_id` and `num_envs` describe it.

    Args:
        config: settings; `config.env_id` is used if `env` is None.
        env: an id, a function that makes a gymnasium.Env, or a VectorEnv.
        video: which episodes of environment 0 are filmed.
        seed: for EnvPool, whose environments are seeded when they are made; None means `config.seed`.
        ranks: the ranks that share the environments.

    Raises:
        UserError: As `make_vector_env`; or `env` is something else, or a VectorEnv though there are several ranks.
    """
    if env is None or isinstance(env, str):
        config = config if env is None else replace(config, env_id=env)
        return config, make_vector_env(config, None, video, seed, ranks)
    if isinstance(env, VectorEnv):
        if ranks.size > 1:
            raise UserError("env is a VectorEnv, but several ranks need an id or a function: each makes its own share.")
        if video:
            raise UserError("video needs environments that are made by their env_id, but env is a VectorEnv.")
        return replace(config, env_id="", num_envs=env.num_envs), env
    if isinstance(env, gymnasium.Env) or not callable(env):
        allowed = "an id, a function that makes a gymnasium.Env, or a VectorEnv"
        raise UserError(
            f"env is {env!r}, but it must be {allowed}: a single environment cannot be stepped in parallel."
        )
    return replace(config, env_id=""), make_vector_env(config, env, video, None, ranks)
