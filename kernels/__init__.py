"""PPO's arithmetic as Numba kernels: arrays and scalars in, arrays out.

The kernels use no environments, files or names. They do not validate and do not raise: `ppo_np` checks all arguments
before. Each kernel works in float32 or float64, the dtype of its arrays. Sums for losses and norms are in float64.

Shape letters, the same everywhere:
    B rows of a (mini)batch      D size of an observation      I, O inputs and outputs of a layer
    K actions to choose from     A components of an action     P all parameters
    T steps of a rollout         N environments                L layers

Gradients are named `d` + variable: `dlogits` is the gradient of the loss with respect to `logits`.
"""

from kernels.acting import acting_forward, count_step
from kernels.activation import (
    RELU,
    TANH,
    activation_backward,
    activation_forward,
    activation_number,
    relu_backward,
    relu_forward,
    tanh_backward,
    tanh_forward,
)
from kernels.advantage import gae, normalize
from kernels.bernoulli import bernoulli_backward, bernoulli_forward, bernoulli_mode, bernoulli_sample
from kernels.categorical import (
    categorical_backward,
    categorical_forward,
    categorical_mode,
    categorical_sample,
    log_softmax,
)
from kernels.finite import all_finite, first_outside
from kernels.gaussian import gaussian_backward, gaussian_forward, gaussian_sample
from kernels.initializer import orthogonal
from kernels.linear import linear_backward_input, linear_backward_parameters, linear_forward
from kernels.loss import LOSS_TERMS, ppo_loss_backward, ppo_loss_forward
from kernels.mlp import mlp_backward, mlp_forward
from kernels.moments import discounted_sums, standardize, update_moments
from kernels.optimizer import adam, clip_by_global_norm, global_norm

__all__ = [
    "LOSS_TERMS",
    "RELU",
    "TANH",
    "acting_forward",
    "activation_backward",
    "activation_forward",
    "activation_number",
    "adam",
    "all_finite",
    "bernoulli_backward",
    "bernoulli_forward",
    "bernoulli_mode",
    "bernoulli_sample",
    "categorical_backward",
    "categorical_forward",
    "categorical_mode",
    "categorical_sample",
    "clip_by_global_norm",
    "count_step",
    "discounted_sums",
    "first_outside",
    "gae",
    "gaussian_backward",
    "gaussian_forward",
    "gaussian_sample",
    "global_norm",
    "linear_backward_input",
    "linear_backward_parameters",
    "linear_forward",
    "log_softmax",
    "mlp_backward",
    "mlp_forward",
    "normalize",
    "orthogonal",
    "ppo_loss_backward",
    "ppo_loss_forward",
    "relu_backward",
    "relu_forward",
    "standardize",
    "tanh_backward",
    "tanh_forward",
    "update_moments",
]
