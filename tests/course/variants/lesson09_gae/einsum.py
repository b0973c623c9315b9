import numpy as np


def gae(rewards, values, final_values, terminations, truncations, gamma, gae_lambda):
    steps = np.arange(len(rewards))
    goes_on = 1.0 - (terminations | truncations)
    successors = goes_on * values[1:] + (truncations & ~terminations) * final_values
    deltas = rewards + gamma * successors - values[:-1]
    episode = np.vstack([np.zeros(rewards.shape[1]), np.cumsum(1 - goes_on, axis=0)[:-1]])
    later = steps[:, np.newaxis] <= steps
    weights = np.where(later, (gamma * gae_lambda) ** np.abs(steps - steps[:, np.newaxis]), 0.0)
    together = (episode[:, np.newaxis] == episode).astype(float)
    advantages = np.einsum("ti,tin,in->tn", weights, together, deltas)
    return advantages, advantages + values[:-1]


PLANT = {
    "truncation-as-termination": (" + (truncations & ~terminations) * final_values", ""),
    "truncation-before-termination": ("(truncations & ~terminations)", "truncations"),
    "value-after-reset": ("* final_values", "* values[1:]"),
    "carry-over": ('np.einsum("ti,tin,in->tn", weights, together, deltas)', 'np.einsum("ti,in->tn", weights, deltas)'),
    "no-lambda": ("(gamma * gae_lambda) **", "gamma **"),
    "no-gamma": ("(gamma * gae_lambda) **", "gae_lambda **"),
    "no-value-in-delta": ("gamma * successors - values[:-1]", "gamma * successors"),
}
