"""The gradient of a minibatch whose rows are spread over ranks: one allreduce per minibatch."""

import numpy as np

from kernels.finite import all_finite
from ppo_np.config import PPOConfig
from ppo_np.distributed.ranks import Ranks
from ppo_np.network.blocks import BlockedGradient
from ppo_np.network.minibatch import Minibatch
from ppo_np.network.model import ActorCritic


class SummedGradient(BlockedGradient):
    """Loss and gradient of a minibatch of which this rank has B_r of the B rows; B_r may be 0.

    The loss is a mean over all B rows. With the upstream gradient B_r / B each rank computes its share of the gradient,
    and the sum of the shares is the gradient. The loss terms are summed in the same array.

    Args:
        model, threads, wide: as for `BlockedGradient`. ranks: share the minibatch.
    """

    def __init__(self, model: ActorCritic, threads: int, wide: bool, ranks: Ranks):
        super().__init__(model, threads, wide)
        self._ranks = ranks

    def loss_and_gradient(self, minibatch: Minibatch, config: PPOConfig, share: float = 1.0) -> np.ndarray:
        """As `BlockedGradient.loss_and_gradient`, over `minibatch.total` rows.

        max() and clipping can hide an input that is not finite from the loss. Then the loss is set to NaN, so that all
        ranks stop together.
        """
        grads, sums = self._model.grads, self._model.grads_and_terms
        loss_terms = sums[grads.size :]
        if minibatch.rows:
            loss_terms[:] = super().loss_and_gradient(minibatch, config, share * minibatch.rows / minibatch.total)
        else:
            sums[:] = 0
        if not all_finite(minibatch.loss_inputs.reshape(-1)):
            loss_terms[0] = np.nan
        self._ranks.allreduce(sums)
        return loss_terms.astype(np.float64)
