"""Loss and gradient of minibatches of any size: large ones block by block on several threads.

The loss is a mean over the rows, so a block of B_k of the B rows, with the upstream gradient B_k / B, gives its share
of the gradient, and the gradient of the minibatch is the sum over the blocks. Blocks have the same rows whatever the
number of threads, and are added in their order, so the number of threads changes no bit. A block's activations also
stay in the cache of its core; those of a whole minibatch do not.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

from kernels.loss import LOSS_TERMS
from ppo_np.config import PPOConfig
from ppo_np.network.activations import Activations
from ppo_np.network.minibatch import Minibatch
from ppo_np.network.model import ActorCritic

BLOCK_ROWS = 256  # the last block has at least half as many, and at most one and a half times as many
LARGEST_BLOCK = BLOCK_ROWS + BLOCK_ROWS // 2
FEWEST_BLOCKS = 4  # with fewer, waking a second thread takes as long as it saves

Block = tuple[int, int]


def blocks_of(rows: int) -> list[Block]:
    """The first row of each block, and the number of its rows."""
    starts = range(0, max(rows - BLOCK_ROWS // 2, 0) + 1, BLOCK_ROWS)
    return [(start, BLOCK_ROWS if start < starts[-1] else rows - start) for start in starts]


class BlockedGradient:
    """Loss and gradient of minibatches; small ones, and those of wide networks, in one piece.

    Args:
        model: the network.
        threads: >= 1, for blocks.
        wide: the network is wide. Then BLAS uses the threads, and blocks would only make its matrices smaller.
    """

    def __init__(self, model: ActorCritic, threads: int, wide: bool):
        self._model, self._wide = model, wide
        self._activations: dict[int, Activations] = {}  # of minibatches in one piece, by their rows
        self._block_activations: list[dict[tuple[int, int], Activations]] = [{} for _ in range(threads)]
        self._workspaces: list[Activations | None] = [None] * threads
        self._pool = ThreadPoolExecutor(max(1, threads - 1), "ppo_np-blocks")  # starts no thread before it has work
        self._grads = np.zeros((0, model.params.size), model.dtype)
        self._loss_terms = np.zeros((0, len(LOSS_TERMS)))

    def loss_and_gradient(self, minibatch: Minibatch, config: PPOConfig, share: float = 1.0) -> np.ndarray:
        """The PPO loss of a minibatch and, in the model's `grads`, its gradient.

        Args:
            minibatch: its advantages are used as they are. config: gives the coefficients of the loss.
            share: factor of the loss terms and of the gradient.

        Returns:
            (6,), the numbers that `LOSS_TERMS` names.
        """
        blocks = blocks_of(minibatch.rows)
        if self._wide or len(blocks) == 1:
            activations = self._activations_for(minibatch.rows)
            return self._model.loss_and_gradient(minibatch, activations, config, share) * share
        self._make_room(len(blocks))
        self._compute(blocks, minibatch, config, share)
        np.sum(self._grads[: len(blocks)], axis=0, out=self._model.grads)
        return np.sum(self._loss_terms[: len(blocks)], axis=0)

    def _activations_for(self, rows: int) -> Activations:
        """Workspace for a minibatch in one piece; all of them share the memory of the largest."""
        if rows not in self._activations:
            largest = max(self._activations.values(), key=lambda activations: activations.rows, default=None)
            if largest and largest.rows < rows:
                self._activations.clear()
                largest = None
            self._activations[rows] = self._model.activations(rows, larger=largest)
        return self._activations[rows]

    def _compute(self, blocks: list[Block], minibatch: Minibatch, config: PPOConfig, share: float) -> None:
        """Compute all blocks, on this thread and the others."""
        todo = deque(enumerate(blocks))
        threads = len(self._workspaces) if len(blocks) >= FEWEST_BLOCKS else 1
        others = [self._pool.submit(self._work, thread, todo, minibatch, config, share) for thread in range(1, threads)]
        try:
            self._work(0, todo, minibatch, config, share)
        finally:
            todo.clear()
            wait(others)
        for other in others:
            other.result()

    def _work(self, thread: int, todo: deque, minibatch: Minibatch, config: PPOConfig, share: float) -> None:
        """Compute blocks until none is left."""
        while True:
            try:
                number, (start, rows) = todo.popleft()
            except IndexError:
                return
            activations = self._block_activations_for(thread, number, rows)
            part = rows / minibatch.rows * share
            loss_terms = self._model.loss_and_gradient(minibatch.part(start, rows), activations, config, part)
            np.multiply(loss_terms, part, out=self._loss_terms[number])

    def _block_activations_for(self, thread: int, number: int, rows: int) -> Activations:
        """Workspace for a block: memory of the thread, a gradient of the block's own."""
        known = self._block_activations[thread]
        if (number, rows) not in known:
            workspace = self._workspaces[thread] or self._model.activations(LARGEST_BLOCK)
            self._workspaces[thread] = workspace
            known[number, rows] = self._model.activations(rows, self._grads[number], workspace)
        return known[number, rows]

    def _make_room(self, blocks: int) -> None:
        if len(self._grads) < blocks:
            for known in self._block_activations:
                known.clear()  # they hold views of the gradients that are replaced now
            self._grads = np.zeros((blocks, self._model.params.size), self._model.dtype)
            self._loss_terms = np.zeros((blocks, len(LOSS_TERMS)))

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()
