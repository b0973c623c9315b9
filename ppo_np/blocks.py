"""Minibatches of many rows, block by block on several threads: their gradient is the sum of the blocks' gradients.

The loss is a mean over the rows, so that a block of B_k of the B rows, with the upstream gradient B_k / B, has its
share of the gradient. Blocks are of the same rows whatever the number of threads, and are added up in their order:
threads change no bit. A block's arrays also stay in the cache of its core, which those of a whole minibatch do not.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kernels.advantage import normalize
from kernels.loss import LOSS_TERMS
from ppo_np.batch import Batch, Minibatch
from ppo_np.config import PPOConfig
from ppo_np.model import ActorCritic

BLOCK_ROWS = 256
FEWEST_BLOCKS = 4  # below, a second thread takes longer to wake than to work (`python bench/blocks.py`)


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
        self._batches = [{} for _ in range(threads)]  # of each thread, by rows
        self._pool = ThreadPoolExecutor(max(1, threads - 1), "ppo_np-blocks")  # starts no thread before it has work
        self._grads = np.zeros((0, model.params.size), model.dtype)
        self._terms = np.zeros((0, len(LOSS_TERMS)))

    def minibatch(self, rows: int) -> Minibatch:
        """Arrays for a minibatch, to be used until the next call: a Batch if it is computed in one piece."""
        if rows not in self._minibatches:
            kind = Batch if self._wide or rows <= BLOCK_ROWS else Minibatch
            alike = [minibatch for minibatch in self._minibatches.values() if type(minibatch) is kind]
            largest = max(alike, key=lambda minibatch: minibatch.rows, default=None)
            if largest and largest.rows < rows:  # the views of it go as well
                self._minibatches = {n: m for n, m in self._minibatches.items() if type(m) is not kind}
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
        starts = range(0, minibatch.rows, BLOCK_ROWS)
        self._make_room(len(starts))
        todo = deque(enumerate(starts))
        threads = len(self._batches) if len(starts) >= FEWEST_BLOCKS else 1
        others = [
            self._pool.submit(self._work, todo, batches, minibatch, config, share)
            for batches in self._batches[1:threads]
        ]
        try:
            self._work(todo, self._batches[0], minibatch, config, share)
        finally:
            todo.clear()
            for other in others:
                other.result()
        np.sum(self._grads[: len(starts)], axis=0, out=self._model.grads)
        np.sum(self._terms[: len(starts)], axis=0, out=minibatch.terms)

    def _work(
        self, todo: deque, batches: dict[int, Batch], minibatch: Minibatch, config: PPOConfig, share: float
    ) -> None:
        """Take blocks until none is left."""
        while True:
            try:
                number, start = todo.popleft()
            except IndexError:
                return
            rows = min(BLOCK_ROWS, minibatch.rows - start)
            batch = self._batch(batches, rows)
            batch.copy_rows(minibatch, start)
            part = rows / minibatch.rows * share
            self._model.backpropagate(batch, config, part)
            self._grads[number] = batch.grads
            np.multiply(batch.terms, part, out=self._terms[number])

    def _batch(self, batches: dict[int, Batch], rows: int) -> Batch:
        """Arrays of a thread for a block: the first rows of a whole block's."""
        if BLOCK_ROWS not in batches:
            batches[BLOCK_ROWS] = Batch(BLOCK_ROWS, self._model, np.zeros_like(self._model.params))
        if rows not in batches:
            batches[rows] = Batch(rows, self._model, batches[BLOCK_ROWS].grads, batches[BLOCK_ROWS])
        return batches[rows]

    def _make_room(self, blocks: int) -> None:
        if len(self._grads) < blocks:
            self._grads = np.zeros((blocks, self._model.params.size), self._model.dtype)
            self._terms = np.zeros((blocks, len(LOSS_TERMS)))

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()
