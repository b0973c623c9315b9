"""How the rows of a rollout are dealt to minibatches, and which of a minibatch's rows this rank has to compute."""

from collections.abc import Iterator
from itertools import accumulate, islice, pairwise
from typing import NamedTuple

import numpy as np

from kernels.advantage import NORMALIZE_EPS
from ppo_np.distributed.ranks import Ranks


class Hand(NamedTuple):
    """This rank's part of a minibatch.

    Attributes:
        rows: (B_r,), flat indices into this rank's buffer; B_r may be 0.
        total: B, rows of the minibatch on all ranks.
        advantages: (B_r,), normalised over all B rows; None where they are as they are in the buffer, or where the
            whole minibatch is here, so that it can be normalised when it is learnt from.
    """

    rows: np.ndarray
    total: int
    advantages: np.ndarray | None = None


class Dealer:
    """Deals the valid transitions of a rollout, in an order that all ranks share.

    Args:
        ranks: that have the rollout together.
        num_steps, num_envs: T and N, over all ranks.
    """

    def __init__(self, ranks: Ranks, num_steps: int, num_envs: int):
        self._ranks = ranks
        everything = np.arange(num_steps * num_envs)
        t, n = np.divmod(everything, num_envs)
        own = ranks.envs(num_envs)
        mine = (n >= own.start) & (n < own.stop)
        # Where the transitions lie in this rank's buffer; -1 for those of other ranks.
        self._place = np.where(mine, t * len(own) + n - own.start, -1)

    def rows(self, valid: np.ndarray) -> np.ndarray:
        """Flat indices t N + n of all ranks' valid transitions, given this rank's `valid`, (T, N_r)."""
        return np.flatnonzero(np.concatenate(self._ranks.gather_numbers(valid), axis=1))

    def deal(self, rows: np.ndarray, num_minibatches: int, advantages: np.ndarray | None) -> list[list[Hand]]:
        """Deal shuffled rows out evenly: minibatches can differ in size by one; those without any row are left out.

        Args:
            rows: (E, B), of all ranks, as `shuffled` by all alike.
            num_minibatches: M, of an epoch.
            advantages: this rank's, flat, if they are to be normalised over each minibatch; else None.

        Returns:
            For each epoch its hands. All are dealt at once, so that ranks have to meet but once.
        """
        epochs, of_an_epoch = len(rows), even_parts(rows.shape[1], num_minibatches)
        hands = self._deal(rows.reshape(-1), of_an_epoch * epochs, advantages)
        return [list(islice(hands, len(of_an_epoch))) for _ in range(epochs)]

    def _deal(self, rows: np.ndarray, sizes: list[int], advantages: np.ndarray | None) -> Iterator[Hand]:
        """Minibatches of these sizes, one after the other."""
        ends = [0, *accumulate(sizes)]
        if self._ranks.size == 1 or not sizes:
            return map(Hand, _split(rows, ends), sizes)
        places = self._place.take(rows)
        mine = places >= 0
        places = places.compress(mine)
        counts = np.add.reduceat(mine, ends[:-1], dtype=np.intp)
        own_ends = [0, *counts.cumsum().tolist()]
        hands = _split(places, own_ends)
        if advantages is None:
            return map(Hand, hands, sizes)
        normalized = self._normalized(advantages.take(places), counts, np.array(sizes))
        return map(Hand, hands, sizes, _split(normalized, own_ends))

    def _normalized(self, advantages: np.ndarray, counts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """As `kernels.advantage.normalize`, each minibatch by its mean and deviation over all ranks, in float64.

        Args:
            advantages: of this rank's rows, minibatch after minibatch.
            counts, sizes: (M,), how many rows of each minibatch this rank has, and all ranks have.
        """
        minibatch = np.arange(len(sizes)).repeat(counts)
        means = np.bincount(minibatch, advantages, len(sizes))
        self._ranks.sum(means)
        means /= sizes
        means[sizes == 1] = 0  # a single row is left as it is
        deviations = advantages - means.take(minibatch)
        variances = np.bincount(minibatch, deviations * deviations, len(sizes))
        self._ranks.sum(variances)
        scales = 1 / (np.sqrt(variances / sizes) + NORMALIZE_EPS)
        scales[sizes == 1] = 1
        return deviations * scales.take(minibatch)


def shuffled(rows: np.ndarray, epochs: int, rng: np.random.Generator) -> np.ndarray:
    """Rows, (B,), in a random order for each of E epochs, (E, B); at the end they stand in the last one themselves."""
    orders = np.empty((epochs, len(rows)), rows.dtype)
    for order in orders:
        rng.shuffle(rows)
        order[:] = rows
    return orders


def even_parts(rows: int, parts: int) -> list[int]:
    """Sizes of so many parts, or of fewer where there are not enough rows: the first ones may be larger by one."""
    parts = min(rows, parts)
    return [rows // parts + (part < rows % parts) for part in range(parts)]


def _split(array: np.ndarray, ends: list[int]) -> Iterator[np.ndarray]:
    return (array[start:end] for start, end in pairwise(ends))
