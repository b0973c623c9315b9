"""Minibatches of many rows, block by block on several threads: their gradient is the sum of the blocks' gradients.

The loss is a mean over the rows, so that a block of B_k of the B rows, with the upstream gradient B_k / B, has its
share of the gradient. Blocks are of the same rows whatever the number of threads, and are added up in their order:
threads change no bit. A block's layers also stay in the cache of its core, which those of a whole minibatch do not.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

from kernels.advantage import normalize
from kernels.loss import LOSS_TERMS
from ppo_np.config import PPOConfig
from ppo_np.network.batch import Batch, Minibatch
from ppo_np.network.model import ActorCritic

BLOCK_ROWS = 256  # the last block has half as many at least, and one and a half times as many at most
FEWEST_BLOCKS = 4  # below, waking a second thread takes what it brings: two blocks made no whole run shorter


def blocks_of(rows: int) -> list[tuple[int, int]]:
    """The first row of each block, and the number of its rows."""
    starts = range(0, max(rows - BLOCK_ROWS // 2, 0) + 1, BLOCK_ROWS)
    return [(start, BLOCK_ROWS if start < starts[-1] else rows - start) for start in starts]


class BlockedGradient:
    """Loss and gradient of minibatches on `threads` threads; small ones, and those of wide networks, in one piece.

    Args:
        model: the network.
        threads: >= 1, for blocks.
        wide: the network is wide: BLAS has the threads, and blocks would only cut its matrices into smaller ones.
    """

    def __init__(self, model: ActorCritic, threads: int, wide: bool):
        self._model, self._wide = model, wide
        self._minibatches: dict[int, Minibatch] = {}
        self._batches = [{} for _ in range(threads)]  # of each thread, by first row and rows
        self._work_arrays: list[Batch | None] = [None] * threads
        self._pool = ThreadPoolExecutor(max(1, threads - 1), "ppo_np-blocks")  # starts no thread before it has work
        self._grads = np.zeros((0, model.params.size), model.dtype)
        self._terms = np.zeros((0, len(LOSS_TERMS)))

    def minibatch(self, rows: int) -> Minibatch:
        """Arrays for a minibatch, to be used until the next call: a Batch if it is computed in one piece."""
        if rows not in self._minibatches:
            kind = Batch if self._wide or len(blocks_of(rows)) == 1 else Minibatch
            alike = [minibatch for minibatch in self._minibatches.values() if type(minibatch) is kind]
            largest = max(alike, key=lambda minibatch: minibatch.rows, default=None)
            if largest and largest.rows < rows:  # the views of it go as well
                self._minibatches = {n: m for n, m in self._minibatches.items() if type(m) is not kind}
                self._forget_blocks()
                largest = None
            self._minibatches[rows] = kind(rows, self._model, larger=largest)
        return self._minibatches[rows]

    def loss_and_gradient(self, minibatch: Minibatch, config: PPOConfig) -> np.ndarray:
        """As `ActorCritic.loss_and_gradient`, for what `minibatch` made: the gradient is in the model's `grads`.

        Returns:
            `minibatch.terms`, the six numbers that `kernels.LOSS_TERMS` names.
        """
        if isinstance(minibatch, Batch):
            return self._model.loss_and_gradient(minibatch, config)
        if config.norm_adv:
            normalize(minibatch.advantages, minibatch.advantages)
        self._add_up_blocks(minibatch, config, 1.0)
        return minibatch.terms

    def backpropagate(self, minibatch: Minibatch, config: PPOConfig, share: float) -> np.ndarray:
        """As `loss_and_gradient`, with advantages as they are, and everything times `share`."""
        if isinstance(minibatch, Batch):
            self._model.backpropagate(minibatch, config, share)
            minibatch.terms *= share
        else:
            self._add_up_blocks(minibatch, config, share)
        return minibatch.terms

    def _add_up_blocks(self, minibatch: Minibatch, config: PPOConfig, share: float) -> None:
        blocks = blocks_of(minibatch.rows)
        self._make_room(len(blocks))
        todo = deque(enumerate(blocks))
        threads = len(self._batches) if len(blocks) >= FEWEST_BLOCKS else 1
        others = [self._pool.submit(self._work, thread, todo, minibatch, config, share) for thread in range(1, threads)]
        try:
            self._work(0, todo, minibatch, config, share)
        finally:
            todo.clear()
            wait(others)
        for other in others:
            other.result()
        np.sum(self._grads[: len(blocks)], axis=0, out=self._model.grads)
        np.sum(self._terms[: len(blocks)], axis=0, out=minibatch.terms)

    def _work(self, thread: int, todo: deque, minibatch: Minibatch, config: PPOConfig, share: float) -> None:
        """Take blocks until none is left."""
        while True:
            try:
                number, block = todo.popleft()
            except IndexError:
                return
            if block not in self._batches[thread]:
                self._batches[thread][block] = self._batch(thread, number, block, minibatch)
            batch = self._batches[thread][block]
            part = batch.rows / minibatch.rows * share
            self._model.backpropagate(batch, config, part)
            np.multiply(batch.terms, part, out=self._terms[number])

    def _batch(self, thread: int, number: int, block: tuple[int, int], minibatch: Minibatch) -> Batch:
        """A block: rows of the minibatch, arrays of the thread, a gradient of its own."""
        start, rows = block
        if self._work_arrays[thread] is None:
            self._work_arrays[thread] = Batch(BLOCK_ROWS + BLOCK_ROWS // 2, self._model)
        return Batch(rows, self._model, self._grads[number], self._work_arrays[thread], (minibatch, start))

    def _make_room(self, blocks: int) -> None:
        if len(self._grads) < blocks:
            self._forget_blocks()
            self._grads = np.zeros((blocks, self._model.params.size), self._model.dtype)
            self._terms = np.zeros((blocks, len(LOSS_TERMS)))

    def _forget_blocks(self) -> None:
        """Make them anew, at their next use: arrays that they are part of are replaced."""
        for batches in self._batches:
            batches.clear()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()
