"""Minibatches: how the transitions of a rollout are split, and which rows of a minibatch are on this rank."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from kernels.advantage import NORMALIZE_EPS, normalize
from ppo_np.distributed.ranks import Ranks
from ppo_np.network.minibatch import Minibatch

Moments = tuple[np.float64, np.float64]


class MinibatchSlice(NamedTuple):
    """This rank's part of a minibatch.

    Attributes:
        indices: (B_r,), flat indices of its transitions in this rank's buffer; B_r may be 0.
        total: B, rows of the minibatch on all ranks.
        epoch, number: of the minibatch, both counted from 1.
        advantage_moments: mean of the advantages of all B rows, and 1 / (their standard deviation + epsilon); None if
            the whole minibatch is on this rank, or if advantages are not normalised.
    """

    indices: np.ndarray
    total: int
    epoch: int
    number: int
    advantage_moments: Moments | None = None


class MinibatchSampler:
    """Splits the valid transitions of a rollout into minibatches, in a random order that all ranks share.

    Args:
        ranks: share the rollout.
        num_steps, num_envs: T and N, over all ranks.
    """

    def __init__(self, ranks: Ranks, num_steps: int, num_envs: int):
        self._ranks = ranks
        t, n = np.divmod(np.arange(num_steps * num_envs), num_envs)
        own = ranks.envs(num_envs)
        mine = (n >= own.start) & (n < own.stop)
        # Flat index of each transition in this rank's buffer; -1 if another rank has it.
        self._place = np.where(mine, t * len(own) + n - own.start, -1)

    def epochs(
        self,
        valid: np.ndarray,
        update_epochs: int,
        num_minibatches: int,
        advantages: np.ndarray | None,
        rng: np.random.Generator,
    ) -> list[list[MinibatchSlice]]:
        """The minibatches of each epoch: the valid transitions, shuffled and split evenly.

        Minibatches can differ in size by one; those without rows are left out. The ranks communicate once for all
        epochs.

        Args:
            valid: (T, N_r) bool, of this rank's transitions.
            update_epochs, num_minibatches: E, and M per epoch.
            advantages: (T, N_r), of this rank; None if they are not to be normalised over each minibatch.
            rng: in the same state on all ranks.
        """
        indices = np.flatnonzero(np.concatenate(self._ranks.allgather_array(valid), axis=1))  # t N + n, over all ranks
        order = shuffled(indices, update_epochs, rng)
        sizes = even_parts(order.shape[1], num_minibatches)
        names = [(epoch + 1, number + 1) for epoch in range(update_epochs) for number in range(len(sizes))]
        parts = self._split(order.reshape(-1), sizes * update_epochs, names, advantages)
        return [parts[epoch * len(sizes) : (epoch + 1) * len(sizes)] for epoch in range(update_epochs)]

    def _split(
        self, order: np.ndarray, sizes: list[int], names: list[tuple[int, int]], advantages: np.ndarray | None
    ) -> list[MinibatchSlice]:
        """Split the order into minibatches of these sizes and keep this rank's rows of them."""
        ends = [0, *accumulate(sizes)]
        moments: Sequence[Moments | None] = [None] * len(sizes)
        if self._ranks.size > 1 and sizes:
            places = self._place.take(order)
            mine = places >= 0
            order = places.compress(mine)
            counts = np.add.reduceat(mine, ends[:-1], dtype=np.intp)
            ends = [0, *counts.cumsum().tolist()]
            if advantages is not None:
                moments = self._advantage_moments(advantages.reshape(-1).take(order), counts, np.array(sizes))
        parts = [order[start:end] for start, end in pairwise(ends)]
        every = zip(parts, sizes, names, moments, strict=True)
        return [MinibatchSlice(part, size, *name, moment) for part, size, name, moment in every]

    def _advantage_moments(self, advantages: np.ndarray, counts: np.ndarray, sizes: np.ndarray) -> list[Moments]:
        """Mean and 1 / (standard deviation + epsilon) of each minibatch over all ranks, in float64.

        `advantages` are those of this rank, minibatch after minibatch; `counts` and `sizes`, (M,), are the rows of each
        minibatch on this rank and on all ranks.
        """
        minibatch = np.arange(len(sizes)).repeat(counts)
        means: np.ndarray = np.bincount(minibatch, advantages, len(sizes))
        self._ranks.allreduce(means)
        means /= sizes
        means[sizes == 1] = 0  # a single row is not changed
        deviations = advantages - means.take(minibatch)
        variances = np.bincount(minibatch, deviations * deviations, len(sizes))
        self._ranks.allreduce(variances)
        scales = 1 / (np.sqrt(variances / sizes) + NORMALIZE_EPS)
        scales[sizes == 1] = 1
        return list(zip(means, scales, strict=True))


def normalize_advantages(minibatch: Minibatch, part: MinibatchSlice) -> None:
    """Shift and scale the advantages in place to mean 0 and standard deviation 1 over the minibatch of all ranks."""
    advantages = minibatch.advantages
    if part.advantage_moments is None:
        normalize(advantages, advantages)
    else:
        mean, scale = part.advantage_moments
        advantages[:] = (advantages - mean) * scale


def shuffled(indices: np.ndarray, epochs: int, rng: np.random.Generator) -> np.ndarray:
    """Indices, (B,), in a random order for each of E epochs, (E, B). Modified in place: indices."""
    orders = np.empty((epochs, len(indices)), indices.dtype)
    for order in orders:
        rng.shuffle(indices)
        order[:] = indices
    return orders


def even_parts(rows: int, parts: int) -> list[int]:
    """Sizes of the parts, or of fewer if there are not enough rows; the first parts may be larger by one."""
    parts = min(rows, parts)
    return [rows // parts + (part < rows % parts) for part in range(parts)]
