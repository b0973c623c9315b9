"""Play episodes with a saved policy."""

import warnings
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from ppo_np.environments.film import RENDER_MODE, Film
from ppo_np.environments.guard import Guard
from ppo_np.environments.stream import Episode
from ppo_np.errors import UserError
from ppo_np.evaluation.episodes import Progress, evaluation_env, play_episode, statistics, step_limit
from ppo_np.learning.policy_file import build_policy
from ppo_np.network.threads import blas_threads, limit_blas_threads
from ppo_np.saving.checkpoint import read_checkpoint
from ppo_np.saving.foreign import import_notice


def evaluate(
    path: str | PathLike, episodes: int, seed: int, *,
    env_id: str | None = None, env_kwargs: dict[str, Any] | None = None, deterministic: bool = True,
    video: Path | None = None, max_episode_steps: int | None = None, progress: Progress | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Play episodes and return the `statistics` of their undiscounted returns, and

        max_episode_steps: the number of steps after which an episode was truncated.
        episodes_at_limit: how many episodes lasted so long.
        video: the path of the film; None if there is none or it is not whole.

    An episode ends when the environment terminates *or truncates* it. Ctrl-C ends the evaluation, and
    the report is about the episodes that have ended.

    Args:
        path: checkpoint file.
        episodes: number of episodes, >= 1.
        seed: episode i uses seed + i for the reset of the environment and for sampling actions.
        env_id, env_kwargs: environment to play in, and its keyword arguments; None = those of the training.
        deterministic: take the most probable actions instead of samples.
        video: film the first episode into this file. A film that fails is a RuntimeWarning.
        max_episode_steps: see `evaluation_env`.
        progress: told of each step.

    Raises UserError if the checkpoint cannot be read or does not fit the environment, EnvironmentFault as
    `play_episode` or if a step or reset takes longer than the run's `env_timeout`, and KeyboardInterrupt at Ctrl-C if
    no episode has ended.
    """
    video = video and video.absolute()  # the environment may change the working directory
    saved = read_checkpoint(path)
    config = replace(
        saved.config,
        env_id=env_id or saved.config.env_id,
        env_kwargs=saved.config.env_kwargs if env_kwargs is None else env_kwargs,
    )
    if not config.env_id:
        raise UserError(f"checkpoint {str(path)!r} was trained on an env without an id: name one with --env-id.")
    if notice := import_notice(path, saved.config if env_id is None else replace(config, env_id="")):
        warnings.warn(notice, RuntimeWarning, 2)
    bare = evaluation_env(config, max_episode_steps, RENDER_MODE if video else None)
    film = Film(bare, lambda episode: None if episode else video) if video else None
    env = Guard(film or bare, 0, saved.config.action_mask)
    progress = progress or Progress(lambda text: None, episodes)
    played: list[Episode] = []
    try:
        policy = build_policy(saved, env.observation_space, env.action_space)
        blas = blas_threads(policy.config, policy.observations.size)
        with limit_blas_threads(blas), env.watched(saved.config.env_timeout):
            for i in range(episodes):
                episode = play_episode(env, policy, seed + i, deterministic, partial(progress.after_step, i + 1))
                assert episode is not None  # it is None only with `stopped`
                played.append(episode)
    except KeyboardInterrupt:
        if not played:
            raise
    finally:
        env.close()
    limit = step_limit(env)
    return statistics(played, env.spec.reward_threshold if env.spec else None) | {
        "max_episode_steps": limit,
        "episodes_at_limit": sum(episode.episodic_length >= limit for episode in played),
        "video": str(video) if film and not film.failure else None,
    }
