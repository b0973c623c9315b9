import numpy as np


def gae(rewards, values, final_values, terminations, truncations, gamma, gae_lambda):
    targets = np.zeros_like(rewards)
    following = values[-1]
    for t in range(len(rewards) - 1, -1, -1):
        mixed = gae_lambda * following + (1 - gae_lambda) * values[t + 1]
        mixed = np.where(truncations[t], final_values[t], mixed)
        following = rewards[t] + gamma * np.where(terminations[t], 0, mixed)
        targets[t] = following
    return targets - values[:-1], targets


PLANT = {
    "truncation-as-termination": (
        "np.where(truncations[t], final_values[t], mixed)",
        "np.where(truncations[t], 0, mixed)",
    ),
    "value-after-reset": (
        "np.where(truncations[t], final_values[t], mixed)",
        "np.where(truncations[t], values[t + 1], mixed)",
    ),
    "one-step-only": ("gae_lambda * following + (1 - gae_lambda) * values[t + 1]", "values[t + 1]"),
    "truncation-before-termination": (
        "np.where(terminations[t], 0, mixed)",
        "np.where(terminations[t] & ~truncations[t], 0, mixed)",
    ),
}
