"""A whole minibatch and an acting step in plain NumPy: what `ActorCritic` does, on its arrays, without a kernel."""

import numpy as np

from bench.ours import Learner
from bench.reference.advantage import numpy_normalize
from bench.reference.categorical import (
    numpy_categorical_backward,
    numpy_categorical_forward,
    numpy_categorical_sample,
)
from bench.reference.loss import numpy_ppo_loss_backward, numpy_ppo_loss_forward
from bench.reference.mlp import numpy_mlp_backward, numpy_mlp_forward
from bench.reference.optimizer import numpy_adam, numpy_clip_by_global_norm, numpy_global_norm

TOWERS = ("policy", "value")


class NumpyLearner:
    """The work of a `Learner` whose network has no shared layers, on the same arrays but Adam's moments."""

    def __init__(self, learner: Learner):
        self.model, self.config = learner.model, learner.config
        self.minibatch, self.activations = learner.minibatch, learner.activations
        self.m, self.v = np.zeros((2, self.model.params.size), self.model.dtype)
        params, grads = (self.model.towers(flat) for flat in (self.model.params, self.model.grads))
        self.layers = [(tower, params[tower], grads[tower]) for tower in TOWERS]

    def forward(self) -> None:
        """Compute `activations.policy_outputs` and `activations.values`."""
        obs, outputs = self.minibatch.obs, self.activations.outputs
        for tower, layers, _ in self.layers:
            numpy_mlp_forward(obs, layers.weights, layers.biases, self.model.activation, False, outputs[tower])

    def act(self, rng: np.random.Generator) -> None:
        """Run the network and draw actions."""
        self.forward()
        pi, logits = self.activations.distribution, self.activations.policy_outputs
        numpy_categorical_sample(logits, rng.random(len(logits)), pi.log_probs, pi.actions, pi.logprobs)

    def step(self) -> None:
        """One minibatch: forward pass, loss, backward pass, clipping, Adam."""
        minibatch, activations, config = self.minibatch, self.activations, self.config
        numpy_normalize(minibatch.advantages, minibatch.advantages)
        self.forward()
        pi, coefs = activations.distribution, (config.clip_coef, config.ent_coef, config.vf_coef)
        logits, dlogits = activations.policy_outputs, activations.dpolicy_outputs
        numpy_categorical_forward(logits, minibatch.actions, pi.log_probs, pi.logprobs, pi.entropies)
        given = activations.values, *minibatch.loss_inputs, *coefs, config.clip_vloss, config.value_clip
        numpy_ppo_loss_forward(pi.logprobs, pi.entropies, *given, activations.loss_terms)
        upstream = activations.dlogprobs, activations.dentropies
        numpy_ppo_loss_backward(1.0, pi.logprobs, *given, *upstream, activations.dvalues)
        numpy_categorical_backward(*upstream, minibatch.actions, pi.log_probs, pi.entropies, dlogits)
        for tower, layers, grads in self.layers:
            numpy_mlp_backward(
                activations.doutputs[tower], minibatch.obs, activations.outputs[tower], layers.weights,
                self.model.activation, False, grads.weights, grads.biases,
            )  # fmt: skip
        params, grads = self.model.params, self.model.grads
        numpy_clip_by_global_norm(grads, numpy_global_norm(grads), config.max_grad_norm)
        coefs = config.learning_rate, config.adam_beta1, config.adam_beta2, config.adam_eps
        numpy_adam(params, grads, self.m, self.v, 1, *coefs)
