"""Loss and gradient of minibatches of any size: large ones block by block on several threads.

The loss is a mean over the B rows. So a block of B_k rows, with the upstream gradient B_k / B, gives its share of the
gradient, and the gradient of the minibatch is the sum over the blocks. The blocks and the order of this sum do not
depend on the number of threads, so the number of threads changes no bit. The activations of a block also fit into the
cache of a core; those of a whole minibatch do not.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from typing import TypeVar

import numpy as np

from kernels.loss import LOSS_TERMS
from ppo_np.config import PPOConfig
from ppo_np.network.activations import Activations
from ppo_np.network.minibatch import Minibatch
from ppo_np.network.model import ActorCritic

BLOCK_ROWS = 256  # the last block has at least half as many, and less than one and a half times as many
FEWEST_BLOCKS = 4  # with fewer, waking a second thread takes as long as it saves

Block = tuple[int, int]
Item = TypeVar("Item")


def blocks_of(rows: int) -> list[Block]:
    """The first row and the number of rows of each block."""
    starts = range(0, max(rows - BLOCK_ROWS // 2, 0) + 1, BLOCK_ROWS)
    return [(start, BLOCK_ROWS if start < starts[-1] else rows - start) for start in starts]


class BlockedGradient:
    """Loss and gradient of minibatches; those that are small, or of a wide network, in one piece.

    Args:
        model: the network.
        threads: >= 1, for blocks.
        wide: whether the network is wide. Then BLAS uses the threads, and blocks would only make its matrices smaller.

    Attributes:
        threads, wide: as given.
    """

    def __init__(self, model: ActorCritic, threads: int, wide: bool):
        self._model, self.threads, self.wide = model, threads, wide
        self._activations: dict[int, Activations] = {}  # of minibatches in one piece, by their rows
        self._workspaces: list[Activations] = []  # one for each thread
        self._block_activations: dict[tuple[int, int, int], Activations] = {}  # by thread, number and rows of the block
        self._pool = ThreadPoolExecutor(max(1, threads - 1), "ppo_np-blocks")  # starts a thread when it has work
        self._grads = np.zeros((0, model.params.size), model.dtype)
        self._loss_terms = np.zeros((0, len(LOSS_TERMS)))

    def loss_and_gradient(self, minibatch: Minibatch, config: PPOConfig, share: float = 1.0) -> np.ndarray:
        """The PPO loss of a minibatch and, in the model's `grads`, its gradient, both multiplied by `share`.

        Returns:
            (6,), the numbers that `LOSS_TERMS` names.
        """
        blocks = blocks_of(minibatch.rows)
        if self.wide or len(blocks) == 1:
            activations = self._activations_for(minibatch.rows)
            return self._model.loss_and_gradient(minibatch, activations, config, share) * share
        self._allocate(len(blocks))
        self._compute(blocks, minibatch, config, share)
        np.sum(self._grads[: len(blocks)], axis=0, out=self._model.grads)
        return np.sum(self._loss_terms[: len(blocks)], axis=0)

    def _activations_for(self, rows: int) -> Activations:
        """Workspace for a minibatch in one piece; all of them share the memory of the largest."""
        if rows not in self._activations:
            largest = max(self._activations, default=0)
            if rows > largest:
                self._activations.clear()
            self._activations[rows] = self._model.activations(rows, larger=self._activations.get(largest))
        return self._activations[rows]

    def _allocate(self, blocks: int) -> None:
        """Preallocate the arrays for this number of blocks, if there are fewer."""
        if len(self._grads) < blocks:
            self._block_activations.clear()  # they hold views of the old gradients
            self._grads = np.zeros((blocks, self._model.params.size), self._model.dtype)
            self._loss_terms = np.zeros((blocks, len(LOSS_TERMS)))
            self._workspaces = [self._model.activations(BLOCK_ROWS + BLOCK_ROWS // 2) for _ in range(self.threads)]

    def _compute(self, blocks: list[Block], minibatch: Minibatch, config: PPOConfig, share: float) -> None:
        """Compute all blocks, on this thread and the others."""

        def work(thread: int, numbered: tuple[int, Block]) -> None:
            number, (start, rows) = numbered
            activations = self._block_activations.get((thread, number, rows))
            if activations is None:
                activations = self._model.activations(rows, self._grads[number], self._workspaces[thread])
                self._block_activations[thread, number, rows] = activations
            part = rows / minibatch.rows * share
            loss_terms = self._model.loss_and_gradient(minibatch.part(start, rows), activations, config, part)
            np.multiply(loss_terms, part, out=self._loss_terms[number])

        self.on_threads(work, list(enumerate(blocks)), self.threads_for(minibatch.rows))

    def threads_for(self, rows: int) -> int:
        """How many threads share the blocks of a minibatch of so many rows."""
        return self.threads if len(blocks_of(rows)) >= FEWEST_BLOCKS else 1

    def on_threads(self, work: Callable[[int, Item], object], items: Sequence[Item], threads: int) -> None:
        """Call `work(thread, item)` for all items, on this thread, which is number 0, and on others.

        Raises what a call has raised; then some items may be left.
        """
        todo = deque(items)

        def until_none_is_left(thread: int) -> None:
            while True:
                try:
                    item = todo.popleft()
                except IndexError:
                    return
                work(thread, item)

        others = [self._pool.submit(until_none_is_left, thread) for thread in range(1, min(threads, len(items)))]
        try:
            until_none_is_left(0)
        finally:
            todo.clear()
            wait(others)
        for other in others:
            other.result()

    @property
    def other_thread(self) -> Executor | None:
        """For other work while no gradient is computed; None if there is one thread, or if BLAS uses the threads."""
        return self._pool if self.threads > 1 and not self.wide else None

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()
