"""Makes environments by id or by a factory, and puts them together as a vector environment."""

import math
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import gymnasium
from gymnasium.vector import VectorEnv

from ppo_np.config import PPOConfig
from ppo_np.distributed.ranks import ALONE, Ranks
from ppo_np.environments.film import RENDER_MODE, Film, VideoOptions
from ppo_np.environments.guard import Guard, close_all, close_watched, describe
from ppo_np.environments.serial import SerialEnvs
from ppo_np.environments.spaces import ObservationAdapter
from ppo_np.environments.watchdog import Watchdog
from ppo_np.environments.workers import START_TIMEOUT, WorkerEnvs
from ppo_np.errors import EnvironmentFault, UserError, require_extra, short
from ppo_np.network.action_head import action_head

EnvSource = str | Callable[[], gymnasium.Env] | VectorEnv | None
Spaces = tuple[gymnasium.Space, gymnasium.Space]


def make_env(env_id: str, render_mode: str | None = None, max_episode_steps: int | None = None) -> gymnasium.Env:
    """Make one environment by its Gymnasium id; "module:id" imports the module first.

    `max_episode_steps` replaces the limit that the environment registers.

    Raises:
        UserError: The id is unknown or outdated, a package that the environment needs is missing, it cannot render, or
            an exception was raised when it was made.
        EnvironmentFault: It was not made within a minute.
    """
    with _as_user_error(env_id):
        # Without Gymnasium's checker: it raises an AssertionError if `render_fps` is 0, which is only for films.
        rendering: dict[str, Any] = {"render_mode": render_mode, "disable_env_checker": True} if render_mode else {}
        env = gymnasium.make(env_id, max_episode_steps=max_episode_steps, **rendering)
    modes = (env.metadata or {}).get("render_modes")  # None says nothing, and then the film is tried
    if render_mode and modes is not None and render_mode not in modes:
        raise UserError(f"env_id is {env_id!r}, but a video needs an environment with the render mode {render_mode}.")
    return env


@contextmanager
def _as_user_error(env_id: str) -> Iterator[None]:
    """Turn exceptions about an id into a `UserError`; show Gymnasium's warnings only if there was no exception."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            module, colon, _ = env_id.rpartition(":")
            if colon and not all(map(str.isidentifier, module.split("."))):
                raise gymnasium.error.Error("an id may have one colon, and before it the name of a module to import")
            with _limit(START_TIMEOUT, "the environment"):
                yield
        except (UserError, EnvironmentFault):
            raise
        except (Exception, SystemExit) as error:
            told = isinstance(error, gymnasium.error.Error | ImportError)
            reason = " ".join(str(error).split()) if told else f"it raised {describe(error)}"
            reason = f"{reason.rstrip('.?')}{_remedy(env_id, error)}"
            raise UserError(f"env_id is {env_id!r}, but no such environment can be made: {reason}.") from error
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _remedy(env_id: str, error: BaseException) -> str:
    """What to do about an environment that cannot be made by its id, as the end of a sentence."""
    module, colon, name = env_id.rpartition(":")
    if module.endswith(".py"):
        return f" (write {module.removesuffix('.py')}:{name}, without .py)"
    if not colon and isinstance(error, gymnasium.error.NameNotFound | gymnasium.error.NamespaceNotFound):
        return " (ids of other packages and of your own files are written module:Id-v0)"
    if isinstance(error, TypeError) and "missing" in str(error):
        return " (register another id with these as its kwargs, or give PPO a function that makes the environment)"
    return ""


def _limit(timeout: float, who: str) -> Watchdog:
    """A context in which an environment of this process must be made."""
    setting = " (env_timeout)" if timeout > START_TIMEOUT else ""
    return Watchdog(max(timeout, START_TIMEOUT), lambda: True, lambda: who, "was not made", setting)


def spaces_of(env_id: str) -> Spaces:
    """Observation space and action space of an environment; raises UserError as `make_env` does."""
    env = make_env(env_id)
    close_watched(env, "the environment")
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
        UserError: As `make_env`; or a space or this vectorisation is not supported for the environment; or the
            environments have different spaces; or the ranks cannot share them evenly.
        EnvironmentFault: An environment raised an exception or took too long when it was made.
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
    spaces = _check(make, config, video)
    in_workers = config.vectorization == "async"
    unfilmed = os.getpid() if in_workers else None  # AsyncVectorEnv makes one environment here to see its spaces
    guarded = partial(_guarded, make, timeout=config.env_timeout, action_mask=config.action_mask)
    factories = [partial(guarded, index, spaces, video=video, unfilmed=unfilmed) for index in own]
    if in_workers:
        return WorkerEnvs(factories, config.env_timeout, first=own.start)
    made: list[Guard] = []
    with ExitStack() as on_error:
        on_error.callback(close_all, made)
        try:
            for factory in factories:
                made.append(factory())  # noqa: PERF401  those that are made are closed if one cannot be
        except EnvironmentFault as fault:
            raise EnvironmentFault(f"While the environments were made, {fault}.") from fault.__cause__
        if len({id(env.unwrapped) for env in made}) < len(own):
            raise UserError("env makes the same object again and again, but each call must make another environment.")
        on_error.pop_all()
    in_order = iter(made)
    return SerialEnvs([lambda: next(in_order)] * len(made))


def _check(make: Callable[..., gymnasium.Env], config: PPOConfig, video: VideoOptions | None) -> Spaces:
    """The spaces of the environments; UserError if they are not supported, before anything is started or filmed."""
    try:
        with _limit(config.env_timeout, "the environment"):
            env = make(render_mode=RENDER_MODE) if video else make()
    except (UserError, EnvironmentFault):
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"env is a function, but it raised {describe(error)}.") from error
    if not isinstance(env, gymnasium.Env):
        raise UserError(f"env makes {type(env).__name__} objects, but it must make a gymnasium.Env.")
    try:
        ObservationAdapter(env.observation_space)
        action_head(env.action_space, config)
    finally:
        close_watched(env, "the environment")
    return env.observation_space, env.action_space


def _guarded(
    make: Callable[..., gymnasium.Env], index: int, spaces: Spaces, timeout: float, action_mask: str,
    video: VideoOptions | None, unfilmed: int | None,
) -> Guard:  # fmt: skip
    """Environment number `index`; number 0 is filmed, but not in the process `unfilmed`.

    Raises EnvironmentFault if it cannot be made in time, UserError if it has other spaces than the first one.
    """
    filmed = video if index == 0 and os.getpid() != unfilmed else None
    if filmed:
        filmed.make_folder()
    who = f"environment {index}"
    try:
        with _limit(timeout, who):
            env = Film(make(render_mode=RENDER_MODE), filmed.file) if filmed else make()
    except (UserError, EnvironmentFault):
        raise
    except (Exception, SystemExit) as error:
        raise EnvironmentFault(f"{who} raised {describe(error)} when it was made") from error
    for what, own, first in zip(
        ("observation", "action"), (env.observation_space, env.action_space), spaces, strict=True
    ):
        if own != first:
            allowed = f"{short(first)}, as that of the environment that was made first to see its spaces"
            close_watched(env, who)
            raise UserError(f"The {what} space of {who} is {short(own)}, but it must be {allowed}.")
    return Guard(env, index, action_mask)


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


def _check_vector(envs: VectorEnv) -> None:
    """Raise UserError that names all that a vector environment lacks, if it does not say its spaces."""
    names = "num_envs", "single_observation_space", "single_action_space"
    missing = [name for name in names if not hasattr(envs, name)]
    if missing and not envs.metadata.get("autoreset_mode"):
        missing.append("metadata['autoreset_mode']")
    if missing:
        raise UserError(f"env is a VectorEnv without {', '.join(missing)}: set them (docs/environments.md shows how).")


def close_environments(envs: VectorEnv) -> None:
    """Close environments that are not needed any more; what goes wrong or takes too long is a warning."""
    limits_itself = isinstance(envs, WorkerEnvs | SerialEnvs)  # the latter by its guards
    close_watched(envs, "the vector environment", math.inf if limits_itself else None)


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
        _check_vector(env)
        return replace(config, env_id="", num_envs=env.num_envs), env
    if isinstance(env, gymnasium.Env) or not callable(env):
        allowed = "an id, a function that makes a gymnasium.Env, or a VectorEnv"
        raise UserError(
            f"env is {env!r}, but it must be {allowed}: a single environment cannot be stepped in parallel."
        )
    return replace(config, env_id=""), make_vector_env(config, env, video, None, ranks)
