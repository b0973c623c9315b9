"""Play episodes with a saved policy."""

from os import PathLike
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from ppo_np.environments.guard import Guard
from ppo_np.environments.make import make_env
from ppo_np.errors import UserError
from ppo_np.evaluation.episodes import play_episode, statistics
from ppo_np.learning.policy import Policy
from ppo_np.network.threads import blas_threads, limit_blas_threads
from ppo_np.saving.checkpoint import Checkpoint, copy_tensors, read_checkpoint


def build_policy(saved: Checkpoint, env: gymnasium.Env, path: str | PathLike) -> Policy:
    """Build the policy of a checkpoint, which was read from `path`. Raises UserError if it does not fit `env`."""
    policy = Policy(env.observation_space, env.action_space, saved.config, None)
    copy_tensors(saved.parameters, policy.model.named(policy.model.params), path)
    if policy.obs_moments:
        moments = {name.removeprefix("obs/"): a for name, a in saved.normalizer.items() if name.startswith("obs/")}
        copy_tensors(moments, policy.obs_moments.arrays(), path)
    return policy


def evaluate(
    path: str | PathLike, episodes: int, seed: int, *,
    env_id: str | None = None, deterministic: bool = True, video: Path | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Play episodes and return the `statistics` of their undiscounted returns.

    An episode ends when the environment terminates *or truncates* it.

    Args:
        path: checkpoint file.
        episodes: number of episodes, >= 1.
        seed: episode i uses seed + i for the reset of the environment and for sampling actions.
        env_id: environment to play in; None = the one of the training.
        deterministic: take the most probable actions instead of samples.
        video: film the first episode into this file.

    Raises UserError if the checkpoint cannot be read or does not fit the environment.
    """
    video = video and video.absolute()  # the environment may change the working directory
    saved = read_checkpoint(path)
    if not (env_id or saved.config.env_id):
        raise UserError(f"checkpoint {str(path)!r} was trained on an env without an id: name one with --env-id.")
    env = Guard(make_env(env_id or saved.config.env_id, render_mode="rgb_array" if video else None), 0)
    try:
        policy = build_policy(saved, env, path)
        played = []
        with limit_blas_threads(blas_threads(policy.config, policy.observations.size)):
            for i in range(episodes):
                frames: list[np.ndarray] | None = [] if video and i == 0 else None
                episode = play_episode(env, policy, seed + i, deterministic, frames)
                assert episode is not None  # it is None only with `stopped`
                played.append(episode)
                if video and frames:
                    save_video(frames, env.metadata.get("render_fps", 30), video)
    finally:
        env.close()
    return statistics(played, env.spec.reward_threshold if env.spec else None)


def save_video(frames: list[np.ndarray], fps: int, path: Path) -> None:
    """Write frames, (H, W, 3) uint8 each, as a film. The suffix of `path` gives the format."""
    from moviepy import ImageSequenceClip  # an optional dependency

    clip = ImageSequenceClip(frames, fps=fps)
    if path.suffix == ".gif":
        clip.write_gif(str(path), logger=None)
    else:
        clip.write_videofile(str(path), logger=None, audio=False)
