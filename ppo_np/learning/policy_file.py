"""The policy of a checkpoint file, without the environment in which it was trained."""

import os
from os import PathLike
from pathlib import Path

import numpy as np
from gymnasium import Space
from gymnasium.spaces import flatdim

from ppo_np.environments.space_json import of_json
from ppo_np.errors import UserError
from ppo_np.learning.policy import Policy
from ppo_np.saving.checkpoint import Checkpoint, copy_tensors, read_checkpoint
from ppo_np.saving.files import CHECKPOINT
from ppo_np.saving.hdf5 import MALFORMED

FIRST_LAYERS = "shared/0/weight", "policy/0/weight", "policy/head/weight"  # those that a network lacks are passed over


def load_policy(path: str | PathLike, *, seed: int | None = None, spaces: tuple[Space, Space] | None = None) -> Policy:
    """The policy of a run, ready to act. No environment is made, and nothing is imported that the file names.

    Args:
        path: a run folder, of which the last checkpoint is taken, or a checkpoint file such as best.h5.
        seed: of the policy's own generator, which draws actions if `predict` is not deterministic; None takes a fresh
            one from the operating system.
        spaces: observation space and action space of a single environment, if the file does not hold them: a file
            from before they were saved, or spaces that only your own code can make.

    Raises:
        UserError: There is no such file, it is not a whole checkpoint, or it does not hold the spaces; or `spaces` do
            not fit the network.
    """
    file = Path(path) / CHECKPOINT if os.path.isdir(path) else Path(path)
    saved = read_checkpoint(file)
    policy = build_policy(saved, *(spaces or _saved_spaces(saved)))
    policy.source = saved.path
    policy.rng = np.random.default_rng(seed)
    return policy


def build_policy(saved: Checkpoint, observation_space: Space, action_space: Space) -> Policy:
    """The policy of a checkpoint for the spaces of an environment. Raises UserError if it does not fit them."""
    policy = Policy(observation_space, action_space, saved.config, None)
    copy_tensors(saved.parameters, policy.model.named(policy.model.params), saved.path)
    if policy.obs_moments:
        moments = {name.removeprefix("obs/"): a for name, a in saved.normalizer.items() if name.startswith("obs/")}
        copy_tensors(moments, policy.obs_moments.arrays(), saved.path)
    return policy


def _saved_spaces(saved: Checkpoint) -> tuple[Space, Space]:
    """The observation space and the action space in a checkpoint, which may have been forged."""
    if saved.spaces is None:
        remedy = "give spaces=(observation_space, action_space), or load it by PPO.load and save it again"
        raise UserError(f"checkpoint {saved.path!r} does not say which spaces its policy is for: {remedy}.")
    numbers = sum(tensor.size for tensor in saved.parameters.values())
    inputs = next((saved.parameters[name].shape[:1] for name in FIRST_LAYERS if name in saved.parameters), ())
    try:
        observation_space, action_space = (of_json(saved.spaces[part], numbers) for part in ("observation", "action"))
        if inputs != (flatdim(observation_space),):
            raise ValueError(f"observations have {flatdim(observation_space)} numbers, but not the network's inputs")
    except MALFORMED as error:
        reason = " ".join(str(error).split())
        raise UserError(f"checkpoint is {saved.path!r}, but its spaces cannot be read: {reason:.300}.") from error
    return observation_space, action_space
