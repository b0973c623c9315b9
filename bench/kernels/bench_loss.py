"""PPO's loss and its gradient against vectorised NumPy, which stays in float32 where the kernels sum in float64."""

import numpy as np

from bench.kernels.cases import benchmark_of, every_shape
from kernels.loss import LOSS_TERMS, ppo_loss_backward, ppo_loss_forward

ROWS = every_shape(of=lambda rows, width: (rows,))
COEFS = 0.2, 0.01, 0.5, True, 0.2  # clip_coef, ent_coef, vf_coef, clip_vloss, value_clip_coef


def minibatch(draw, b):
    """Log-probabilities, values, the old ones, advantages and returns; about half of the rows leave each clip range."""
    logprobs, values = draw(b), draw(b)
    return logprobs, values, logprobs + 0.3 * draw(b), values + 0.3 * draw(b), draw(b), draw(b)


def forward(draw, b):
    logprobs, *others = minibatch(draw, b)
    return logprobs, draw(b), *others, *COEFS, np.zeros(len(LOSS_TERMS))


test_ppo_loss_forward = benchmark_of(ppo_loss_forward, ROWS, forward)
test_ppo_loss_backward = benchmark_of(
    ppo_loss_backward, ROWS, lambda draw, b: (1.0, *minibatch(draw, b), *COEFS, draw(b), draw(b), draw(b))
)
