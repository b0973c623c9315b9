"""Makes environments by id or by a factory, and puts them together as a vector environment."""

import math
import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import gymnasium
from gymnasium.vector import VectorEnv
from gymnasium.wrappers import TimeLimit

from ppo_np.config import PPOConfig
from ppo_np.distributed.ranks import ALONE, Ranks
from ppo_np.environments.by_id import arguments, as_user_error
from ppo_np.environments.compiled import CompiledEnv, is_compiled
from ppo_np.environments.compiled_envs import CompiledVectorEnv, registered_model
from ppo_np.environments.film import RENDER_MODE, Film, VideoOptions
from ppo_np.environments.guard import Guard, close_all, close_watched, describe
from ppo_np.environments.serial import SerialEnvs
from ppo_np.environments.spaces import ObservationAdapter
from ppo_np.environments.workers import WorkerEnvs
from ppo_np.environments.wrapping import making_limit, signature, wrapper_settings, wrapper_steps
from ppo_np.errors import EnvironmentFault, UserError, check, require_extra, short
from ppo_np.network.action_head import action_head

Factory = Callable[..., gymnasium.Env]
EnvSource = str | Factory | type[CompiledEnv] | VectorEnv | None
Spaces = tuple[gymnasium.Space, gymnasium.Space]


def make_env(config: PPOConfig, render_mode: str | None = None, factory: Factory | None = None) -> gymnasium.Env:
    """Make one environment as the settings describe it: the only place where an environment is made that is not native.

    Args:
        config: `env_id` is Gymnasium's id, and "module:id" imports the module first; `env_kwargs` are the keyword
            arguments of the environment, or of the factory; `max_episode_steps` replaces the limit that the environment
            registers; then all `wrapper_settings` are applied.
        render_mode: for films.
        factory: makes the environment instead of `env_id`, and a limit that it sets itself holds as well.

    Raises:
        UserError: The id is unknown or outdated, a package that the environment needs is missing, it cannot render, an
            exception was raised when it was made by its id, or a wrapper cannot be applied.
        EnvironmentFault: It was not made within a minute.
        Exception: What the factory raises.
    """
    env = _registered(config, render_mode) if factory is None else _built(config, factory)
    try:
        for put in wrapper_steps(config):
            env = put(env)
    except BaseException:
        close_watched(env, "the environment")
        raise
    return env


def _registered(config: PPOConfig, render_mode: str | None) -> gymnasium.Env:
    """The environment of `config.env_id`, without wrappers."""
    with as_user_error(config):
        # Without Gymnasium's checker: it raises an AssertionError if `render_fps` is 0, which is only for films.
        rendering: dict[str, Any] = {"render_mode": render_mode, "disable_env_checker": True} if render_mode else {}
        env = gymnasium.make(config.env_id, **(arguments(config) | rendering))
    modes = (env.metadata or {}).get("render_modes")  # None says nothing, and then the film is tried
    if render_mode and modes is not None and render_mode not in modes:
        raise UserError(
            f"env_id is {config.env_id!r}, but a video needs an environment with the render mode {render_mode}."
        )
    return env


def _built(config: PPOConfig, factory: Factory) -> gymnasium.Env:
    """The environment that a function makes, without wrappers."""
    env = factory(**config.env_kwargs)
    if not isinstance(env, gymnasium.Env):
        raise UserError(f"env makes {type(env).__name__} objects, but it must make a gymnasium.Env.")
    return TimeLimit(env, config.max_episode_steps) if config.max_episode_steps else env


def spaces_of(config: PPOConfig) -> Spaces:
    """Observation space and action space of a single environment; raises UserError as `make_env` does."""
    env = make_env(config)
    close_watched(env, "the environment")
    return env.observation_space, env.action_space


def spaces_of_training(config: PPOConfig) -> Spaces:
    """As `spaces_of`, of the environment that `vectorization` steps; raises UserError as `make_vector_env` does."""
    if config.vectorization in ("sync", "async"):
        return spaces_of(config)
    envs = make_vector_env(config)
    close_environments(envs)
    return envs.single_observation_space, envs.single_action_space


def make_vector_env(
    config: PPOConfig,
    factory: Factory | None = None,
    video: VideoOptions | None = None,
    seed: int | None = None,
    ranks: Ranks = ALONE,
) -> VectorEnv:
    """Make this rank's share of `config.num_envs` environments, vectorised as `config.vectorization` says.

    "sync", "async" and "compiled" reset an environment in the step that ends its episode; "vector" and "envpool" in the
    next step.

    Args:
        config: `num_envs` and `vectorization`, and what `make_env` uses.
        factory: makes one environment, of `config.env_kwargs`; None makes it by `config.env_id`.
        video, seed, ranks: as for `open_environments`.

    Raises:
        UserError: As `make_env`; or a space or this vectorisation is not supported for the environment; or the
            environments have different spaces; or the ranks cannot share them evenly.
        EnvironmentFault: An environment raised an exception or took too long when it was made.
    """
    own = ranks.envs(config.num_envs)
    if config.vectorization in ("vector", "envpool", "compiled"):
        if factory or video or wrapper_settings(config):
            what = "a factory" if factory else "a video" if video else wrapper_settings(config)[0]
            what = "a wrapper" if what == "wrappers" else what
            raise UserError(f"vectorization is {config.vectorization!r}, but {what} needs 'sync' or 'async'.")
        return _native(config, own, config.seed if seed is None else seed, ranks)
    if factory and video:
        raise UserError("video needs environments that are made by their env_id, but env is a factory.")
    make = partial(make_env, config, factory=factory)
    spaces = _check(make, config, video)
    in_workers = config.vectorization == "async"
    unfilmed = os.getpid() if in_workers else None  # AsyncVectorEnv makes one environment here to see its spaces
    shown = {"action_mask": config.action_mask, "info_keys": config.info_keys}
    guarded = partial(_guarded, make, timeout=config.env_timeout, shown=shown)
    factories = [partial(guarded, index, spaces, video=video, unfilmed=unfilmed) for index in own]
    if in_workers:
        return WorkerEnvs(factories, config.env_timeout, first=own.start)
    return _serial(factories)


def _serial(factories: Sequence[Callable[[], Guard]]) -> SerialEnvs:
    """The environments that these functions make; those that are made are closed if one cannot be."""
    made: list[Guard] = []
    with ExitStack() as on_error:
        on_error.callback(close_all, made)
        try:
            for factory in factories:
                made.append(factory())  # noqa: PERF401  `on_error` closes them
        except EnvironmentFault as fault:
            raise EnvironmentFault(f"While the environments were made, {fault}.") from fault.__cause__
        if len({id(env.unwrapped) for env in made}) < len(factories):
            raise UserError("env makes the same object again and again, but each call must make another environment.")
        on_error.pop_all()
    in_order = iter(made)
    return SerialEnvs([lambda: next(in_order)] * len(made))


def _native(config: PPOConfig, own: range, seed: int, ranks: Ranks) -> VectorEnv:
    """The environments `own` of those that are stepped by a program of their own, without an `Env` for each."""
    if config.vectorization == "compiled":
        return _compiled(config, None, len(own))
    if config.vectorization == "vector":
        with as_user_error(config):
            mode = "vector_entry_point"
            return gymnasium.make_vec(config.env_id, len(own), vectorization_mode=mode, **arguments(config))
    return _envpool(config, len(own), seed + own.start, config.num_env_threads or ranks.cores)


def _compiled(config: PPOConfig, model: type[CompiledEnv] | None, num_envs: int) -> VectorEnv:
    """So many environments of a model, or of that of `config.env_id` if `model` is None."""
    allowed = "empty with compiled environments: all actions are valid"
    check(not config.action_mask, "action_mask", config.action_mask, allowed)
    allowed = "empty with compiled environments, which give no infos"
    check(not config.info_keys, "info_keys", config.info_keys, allowed)
    with as_user_error(config):
        model = model or registered_model(config.env_id)
        return CompiledVectorEnv(model, num_envs, **arguments(config))


def _check(make: partial[gymnasium.Env], config: PPOConfig, video: VideoOptions | None) -> Spaces:
    """The spaces of the environments; UserError if they are not supported, before anything is started or filmed."""
    try:
        with making_limit("the environment", config.env_timeout):
            env = make(render_mode=RENDER_MODE) if video else make()
    except (UserError, EnvironmentFault):
        raise
    except (Exception, SystemExit) as error:
        takes = signature(make.keywords["factory"], error)
        raise UserError(f"env is a function, but it raised {describe(error)}{takes}.") from error
    try:
        ObservationAdapter(env.observation_space)
        action_head(env.action_space, config)
    finally:
        close_watched(env, "the environment")
    return env.observation_space, env.action_space


def _guarded(
    make: partial[gymnasium.Env], index: int, spaces: Spaces, timeout: float, shown: dict[str, Any],
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
        with making_limit(who, timeout):
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
    return Guard(env, index, **shown)


def _envpool(config: PPOConfig, num_envs: int, seed: int, threads: int) -> VectorEnv:
    """EnvPool's environments, which step in at most `threads` C++ threads; environment i has the seed `seed` + i."""
    require_extra("envpool", "envpool", "vectorization 'envpool'")
    import envpool

    if config.env_id not in envpool.list_all_envs():
        raise UserError(f"env_id is {config.env_id!r}, but EnvPool has no such environment.")
    threads = min(threads, num_envs)
    own = {"num_envs": num_envs, "num_threads": threads, "seed": seed}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*precision lowered by casting.*")
        try:
            envs = envpool.make(config.env_id, env_type="gymnasium", **own, **arguments(config))
        except TypeError as error:
            raise UserError(f"env_kwargs is {config.env_kwargs}, but EnvPool raised {describe(error):.500}.") from error
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
        env: an id, a function that makes a gymnasium.Env of `config.env_kwargs`, a CompiledEnv, which is a class, or a
            VectorEnv.
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
        given = [name for name in ("env_kwargs", "max_episode_steps") if getattr(config, name)]
        for name in given + wrapper_settings(config):
            check(False, name, getattr(config, name), "left away with a VectorEnv, which is made already")
        return replace(config, env_id="", num_envs=env.num_envs), env
    if isinstance(env, gymnasium.Env) or not callable(env):
        allowed = "an id, a function that makes a gymnasium.Env, or a VectorEnv"
        raise UserError(
            f"env is {env!r}, but it must be {allowed}: a single environment cannot be stepped in parallel."
        )
    if is_compiled(env):
        for name in wrapper_settings(config):
            check(False, name, getattr(config, name), "left away with a CompiledEnv")
        check(not video, "video", video, "left away with a CompiledEnv")
        config = replace(config, env_id="", vectorization="compiled")
        return config, _compiled(config, env, len(ranks.envs(config.num_envs)))
    factory: Any = env
    return replace(config, env_id=""), make_vector_env(config, factory, video, None, ranks)
