"""The gradient of a minibatch whose rows are spread over ranks: one sum a minibatch, of everything that is needed."""

import numpy as np

from kernels.finite import all_finite
from ppo_np.config import PPOConfig
from ppo_np.distributed.ranks import Ranks
from ppo_np.network.batch import Minibatch
from ppo_np.network.blocks import BlockedGradient
from ppo_np.network.model import ActorCritic


class SummedGradient(BlockedGradient):
    """Loss and gradient of a minibatch of which this rank has some rows, or none.

    The loss is a mean over all B rows: with the upstream gradient B_r / B, each rank has its share of the gradient, and
    the sum of the shares is the gradient. The loss terms ride behind it in the same array.

    Args:
        model, threads, wide: as for `BlockedGradient`.
        ranks: that have the minibatch together.
    """

    def __init__(self, model: ActorCritic, threads: int, wide: bool, ranks: Ranks):
        super().__init__(model, threads, wide)
        self._ranks = ranks

    def loss_and_gradient(self, minibatch: Minibatch, config: PPOConfig) -> np.ndarray:
        """As `BlockedGradient.loss_and_gradient`, over `minibatch.total` rows; their advantages are normalised already.

        A number that is not finite may hide from the loss, behind max() and clipping: the loss that arrives everywhere
        is NaN then, so that all ranks stop together.
        """
        grads, terms = self._model.grads, minibatch.terms
        if minibatch.rows:
            self.backpropagate(minibatch, config, minibatch.rows / minibatch.total)
        else:
            grads[:], terms[:] = 0, 0
        if not all_finite(minibatch.loss_inputs.ravel()):
            terms[0] = np.nan
        sums = self._model.grads_and_terms
        sums[grads.size :] = terms
        self._ranks.sum(sums)
        terms[:] = sums[grads.size :]
        return terms
