"""The gradient of a minibatch whose rows are spread over ranks: one allreduce a minibatch."""

import numpy as np

from kernels.finite import all_finite
from ppo_np.config import PPOConfig
from ppo_np.distributed.ranks import Ranks
from ppo_np.network.blocks import BlockedGradient
from ppo_np.network.minibatch import Minibatch
from ppo_np.network.model import ActorCritic


class SummedGradient(BlockedGradient):
    """Loss and gradient of a minibatch of which this rank has some rows, or none.

    The loss is a mean over all B rows: with the upstream gradient B_r / B, each rank computes its share of the
    gradient, and the sum of the shares is the gradient. The loss terms stand behind it in the same array.

    Args:
        model, threads, wide: as for `BlockedGradient`.
        ranks: that have the minibatch together.
    """

    def __init__(self, model: ActorCritic, threads: int, wide: bool, ranks: Ranks):
        super().__init__(model, threads, wide)
        self._ranks = ranks

    def loss_and_gradient(self, minibatch: Minibatch, config: PPOConfig, share: float = 1.0) -> np.ndarray:
        """As `BlockedGradient.loss_and_gradient`, over `minibatch.total` rows.

        A number that is not finite may be invisible in the loss, behind max() and clipping. Then the loss on all ranks
        is NaN, so that all of them stop together.
        """
        grads, sums = self._model.grads, self._model.grads_and_terms
        loss_terms = sums[grads.size :]
        if minibatch.rows:
            loss_terms[:] = super().loss_and_gradient(minibatch, config, share * minibatch.rows / minibatch.total)
        else:
            grads[:], loss_terms[:] = 0, 0
        if not all_finite(minibatch.loss_inputs.reshape(-1)):
            loss_terms[0] = np.nan
        self._ranks.allreduce(sums)
        return loss_terms.astype(np.float64)
