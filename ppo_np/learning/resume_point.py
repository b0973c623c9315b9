"""The point from which a run can be resumed exactly: the beginning of the current rollout."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ppo_np.config import PPOConfig
from ppo_np.distributed.ranks import Ranks
from ppo_np.environments.attribute_changes import AttributeChanges
from ppo_np.environments.env_recorder import Mark
from ppo_np.environments.observed import Observed
from ppo_np.environments.stream import EnvStream
from ppo_np.learning.policy import Policy
from ppo_np.learning.rollout import flatten_obs
from ppo_np.saving.checkpoint import Checkpoint, another_seed, capture
from ppo_np.saving.training_state import TrainingState


class ResumePoint:
    """Remembers the state of the environments and of the generator of actions when the current rollout began.

    Attributes:
        exists: whether the run can be resumed exactly. It is False during the epochs of an update: if an exception ends
            them, environments and parameters do not belong together any more.
    """

    def __init__(self, stream: EnvStream, policy: Policy, state: TrainingState):
        self._stream, self._policy, self._state = stream, policy, state
        self._start: tuple[Mark, Mapping[str, Any]] | None = None  # of the current rollout
        self._next: tuple[Mark, Mapping[str, Any]] | None = None  # of the one after the present epochs
        self.exists = True

    def rollout_start(self) -> tuple[Mark, Mapping[str, Any]]:
        """The state of environments and generator of actions; it is recorded now if the rollout has not begun."""
        if self._start is None:
            self._start = self._present()
            self.exists = True
        return self._start

    def rollout_end(self) -> None:
        """Record where the next rollout begins: before the epochs, as a worker may die or be stopped during them."""
        self._next = self._present()

    def _present(self) -> tuple[Mark, Mapping[str, Any]]:
        """The present state of environments and generator of actions.

        Raises:
            EnvironmentFault: An observation is not finite or not in its space, or a worker has died or hangs.
        """
        shape = self._stream.envs.num_envs, self._policy.observations.size
        flat_obs = np.zeros(shape, self._policy.obs_dtype)
        flatten_obs(self._stream, self._policy, flat_obs)
        self._stream.check_obs(flat_obs)
        mark = self._stream.mark(Observed(flat_obs, self._stream.observed.action_mask))
        return mark, self._state.rngs["action_rng"].bit_generator.state

    @contextmanager
    def moving(self) -> Iterator[None]:
        """A context for the epochs of an update: the point exists again when it ends without an exception."""
        self.exists, self._start = False, None
        yield
        self.exists, self._start = True, self._next

    def checkpoint(self, config: PPOConfig, ranks: Ranks) -> Checkpoint:
        """A checkpoint of this point; without the environments if it does not exist. All ranks must call this."""
        environments, action_rng = None, self._state.rngs["action_rng"].bit_generator.state
        if self.exists:
            mark, action_rng = self.rollout_start()
            environments = self._stream.record(mark)
        spaces = self._policy.observations.space, self._policy.actions.space
        return capture(self._state, config, environments, action_rng, ranks, *spaces)


def restore_environments(
    stream: EnvStream, policy: Policy, state: TrainingState, saved: Checkpoint, num_envs: int, ranks: Ranks
) -> list[int]:
    """Restore the saved environments, N over all ranks. Those that cannot be restored begin a new episode.

    Returns:
        Indices, over all ranks, of the environments that were not restored.

    Raises:
        EnvironmentFault: A reset failed.
    """
    record, seed, own = saved.environments, another_seed(saved), ranks.envs(num_envs)
    shape = num_envs, policy.observations.size
    dtypes = policy.obs_dtype, policy.model.dtype  # the latter was that of all normalised observations
    masked = record is not None and record.action_mask is not None
    fits = record is not None and record.obs.shape == shape and record.obs.dtype in dtypes
    if record is None or not fits or masked != policy.model.head.masked:
        stream.reset(seed)
        same = np.zeros(len(own), bool)
    else:
        same = stream.restore(record.part(own), seed, policy.observations.flatten_one)
    if "reward" in state.normalizers:
        state.normalizers["reward"].arrays()["running"][~same] = 0
    lost = np.flatnonzero(~np.concatenate(ranks.allgather(same))).tolist()
    state.environments_reset += len(lost)
    return lost


def changes_warning(saved: Checkpoint) -> str:
    """The warning about changes of the environments that cannot be repeated; empty if there are none."""
    packed = saved.environments.changes if saved.environments else None
    names = AttributeChanges.unpacked(packed).untracked
    what = "by env_method, or by set_attr with a value that is no Python literal; that is not repeated"
    effect = f"from step {saved.counters['global_step']} on, results can differ from those of an uninterrupted run"
    return f"the environments were changed by {', '.join(names)}: {what}, and {effect}." if names else ""


def lost_environments_warning(lost: list[int], global_step: int) -> str:
    """The warning about environments that could not be restored; empty if there are none."""
    which = f"environment{'s' * (len(lost) > 1)} {', '.join(map(str, lost))}"
    effect = f"from step {global_step} on, results differ from those of an uninterrupted run"
    return f"{which} could not be restored and began a new episode: {effect}." if lost else ""
