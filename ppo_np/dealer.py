"""How the rows of a rollout are dealt to minibatches, and which of a minibatch's rows this rank has to compute."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kernels.advantage import NORMALIZE_EPS
from ppo_np.ranks import Ranks


@dataclass(frozen=True)
class Hand:
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
        return np.flatnonzero(np.concatenate(self._ranks.gather(valid), axis=1))

    def deal(self, rows: np.ndarray, num_minibatches: int, advantages: np.ndarray | None) -> Iterator[Hand]:
        """Deal shuffled rows out evenly: minibatches can differ in size by one; those without any row are left out.

        Args:
            rows: of all ranks, shuffled alike.
            num_minibatches: M.
            advantages: this rank's, flat, if they are to be normalised over each minibatch; else None.
        """
        parts = [part for part in np.array_split(rows, num_minibatches) if len(part)]
        if self._ranks.size == 1:
            return (Hand(part, len(part)) for part in parts)
        sizes = np.array([len(part) for part in parts])
        places = self._place[rows]
        mine = places >= 0
        places, minibatch = places[mine], np.repeat(np.arange(len(parts)), sizes)[mine]
        ends = np.bincount(minibatch, minlength=len(parts)).cumsum()[:-1]
        hands = np.split(places, ends)
        if advantages is None:
            return map(Hand, hands, sizes.tolist())
        normalized = self._normalized(advantages[places], minibatch, sizes)
        return map(Hand, hands, sizes.tolist(), np.split(normalized, ends))

    def _normalized(self, advantages: np.ndarray, minibatch: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """As `kernels.advantage.normalize`, each minibatch by its mean and deviation over all ranks, in float64."""
        advantages = advantages.astype(np.float64)
        means = np.bincount(minibatch, advantages, len(sizes))
        self._ranks.sum(means)
        means /= sizes
        deviations = advantages - means[minibatch]
        variances = np.bincount(minibatch, deviations**2, len(sizes))
        self._ranks.sum(variances)
        scales = 1 / (np.sqrt(variances / sizes) + NORMALIZE_EPS)
        return np.where(sizes[minibatch] == 1, advantages, deviations * scales[minibatch])
