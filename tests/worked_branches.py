"""For tests/worked_numbers.py: numbers that visit every branch of GAE, of the surrogate and of the value loss."""

import numpy as np

from kernels.advantage import gae
from kernels.loss import ppo_loss_backward, ppo_loss_forward


def ends_of_episodes():
    """Section 3: five steps; step 1 is truncated, step 3 terminates, and the rollout ends within an episode."""
    rewards, values = np.array([1.0, 2, 0, 1, 1]), np.array([2.0, 1, 0.5, 0.5, 3, 2])
    terminations, truncations = np.zeros((2, 5, 1), bool)
    terminations[3] = truncations[1] = True
    final_values = np.full((5, 1), np.nan)  # only where an episode was truncated
    final_values[1] = 4
    advantages, returns = np.zeros((2, 5, 1))
    arrays = rewards[:, np.newaxis], values[:, np.newaxis], final_values, terminations, truncations
    gae(*arrays, 0.9, 0.5, advantages, returns)
    return {"five_A": advantages[:, 0], "five_returns": returns[:, 0]}


def surrogate_regions():
    """Section 5: one row in each of the six regions, each a minibatch of its own: loss and slope by log pi."""
    losses, slopes = np.zeros((2, 2, 3))
    for row, advantage in enumerate((2.0, -2.0)):
        for column, ratio in enumerate((0.7, 1.1, 1.3)):
            policy_loss, _, slope, _ = one_row(np.log(ratio), advantage, value=0.0, target=0.0)
            losses[row, column], slopes[row, column] = policy_loss, slope
    return {"region_loss": losses, "region_slope": slopes}


def value_cases():
    """Section 6: five values around an old value of 0, with the target 1: maximum in L_V, and slope by V."""
    found = [one_row(0.0, 0.0, value, target=1.0) for value in (0.1, -0.5, 0.5, 1.5, 2.5)]
    return {
        "case_term": np.array([2 * value_loss for _, value_loss, _, _ in found]),
        "case_slope": np.array([slope for *_, slope in found]),
    }


def one_row(logprob, advantage, value, target):
    """Policy loss, value loss, dlogprob and dvalue of one row; the old log-probability and value are 0, c_V is 1."""
    logprobs, values, advantages, targets, zero = np.array([[logprob], [value], [advantage], [target], [0.0]])
    terms, (dlogprob, dentropy, dvalue) = np.zeros(6), np.zeros((3, 1))
    constants = zero, zero, advantages, targets, 0.2, 0.0, 1.0, True, 0.2
    ppo_loss_forward(logprobs, zero, values, *constants, terms)
    ppo_loss_backward(1.0, logprobs, values, *constants, dlogprob, dentropy, dvalue)
    return terms[1], terms[2], dlogprob[0], dvalue[0]
