"""A whole minibatch and an acting step in plain NumPy: what `ActorCritic` does, on its arrays, without a kernel."""

from functools import partial

import numpy as np
from bench_advantage import numpy_normalize
from bench_categorical import numpy_categorical_backward, numpy_categorical_forward, numpy_categorical_sample
from bench_loss import numpy_ppo_loss_backward, numpy_ppo_loss_forward
from bench_mlp import numpy_mlp_backward, numpy_mlp_forward
from bench_optimizer import numpy_adam, numpy_clip_by_global_norm, numpy_global_norm

from ppo_np import PPOConfig
from ppo_np.batch import Batch
from ppo_np.model import ActorCritic


class NumpyActorCritic:
    """The forward and backward pass of a model without shared layers, over the same parameters and gradients.

    Args:
        model: the arrays, the sizes and the activation are taken from it.
    """

    def __init__(self, model: ActorCritic):
        self.activation, self.params, self.grads = model.activation, model.params, model.grads
        self.weights, self.biases = _layers(model, model.params)
        self.dweights, self.dbiases = _layers(model, model.grads)
        self.adam = partial(numpy_adam, scratch=np.empty_like(model.params))

    def forward(self, batch: Batch) -> None:
        """Compute `batch.pi_out` and `batch.values`."""
        for tower, weights in self.weights.items():
            numpy_mlp_forward(batch.obs, weights, self.biases[tower], self.activation, False, batch.outputs[tower])

    def act(self, batch: Batch, rng: np.random.Generator) -> None:
        """Run the network and draw actions."""
        self.forward(batch)
        pi = batch.distribution
        numpy_categorical_sample(batch.pi_out, rng.random(batch.rows), pi.log_probs, pi.actions, pi.logprobs)

    def loss_and_gradient(self, batch: Batch, config: PPOConfig) -> None:
        """As `ActorCritic.loss_and_gradient`."""
        numpy_normalize(batch.advantages, batch.advantages)
        self.forward(batch)
        pi, coefs = batch.distribution, (config.clip_coef, config.ent_coef, config.vf_coef, config.clip_vloss)
        old = batch.old_logprobs, batch.old_values, batch.advantages, batch.returns
        numpy_categorical_forward(batch.pi_out, batch.actions, pi.log_probs, pi.logprobs, pi.entropies)
        numpy_ppo_loss_forward(pi.logprobs, pi.entropies, batch.values, *old, *coefs, batch.terms)
        upstream = batch.dlogprobs, batch.dentropies
        numpy_ppo_loss_backward(1.0, pi.logprobs, batch.values, *old, *coefs, *upstream, batch.dvalues)
        numpy_categorical_backward(*upstream, batch.actions, pi.log_probs, pi.entropies, batch.dpi_out)
        for tower, weights in self.weights.items():
            numpy_mlp_backward(
                batch.doutputs[tower], batch.obs, batch.outputs[tower], weights, self.activation, False,
                self.dweights[tower], self.dbiases[tower],
            )  # fmt: skip

    def optimize(self, batch: Batch, config: PPOConfig, m: np.ndarray, v: np.ndarray, learning_rate: float) -> None:
        """One minibatch: forward pass, loss, backward pass, clipping, Adam."""
        self.loss_and_gradient(batch, config)
        numpy_clip_by_global_norm(self.grads, numpy_global_norm(self.grads), config.max_grad_norm)
        self.adam(
            self.params, self.grads, m, v, 1, learning_rate, config.adam_beta1, config.adam_beta2, config.adam_eps
        )


def _layers(model: ActorCritic, flat: np.ndarray) -> tuple[dict, dict]:
    """Weights and biases in a flat vector, by tower."""
    named = model.named(flat)
    return tuple(
        {t: tuple(a for n, a in named.items() if n.startswith(t) and n.endswith(kind)) for t in ("policy", "value")}
        for kind in ("weight", "bias")
    )
