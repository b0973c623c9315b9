import numpy as np


def gae(rewards, values, final_values, terminations, truncations, gamma, gae_lambda):
    steps, envs = rewards.shape
    advantages, returns = np.zeros((2, steps, envs))
    for n in range(envs):
        following = 0.0
        for t in range(steps - 1, -1, -1):
            if terminations[t, n]:
                successor = 0.0
                following = 0.0
            elif truncations[t, n]:
                successor = final_values[t, n]
                following = 0.0  # an end of any kind
            else:
                successor = values[t + 1, n]
            delta = rewards[t, n] + gamma * successor - values[t, n]
            following = delta + gamma * gae_lambda * following
            advantages[t, n] = following
            returns[t, n] = following + values[t, n]
    return advantages, returns


PLANT = {
    "truncation-as-termination": ("successor = final_values[t, n]", "successor = 0.0"),
    "value-after-reset": ("successor = final_values[t, n]", "successor = values[t + 1, n]"),
    "carry-over-truncation": ("                following = 0.0  # an end of any kind\n", ""),
    "value-one-step-early": ("successor = values[t + 1, n]", "successor = values[t, n]"),
    "no-gamma": ("gamma * gae_lambda * following", "gae_lambda * following"),
    "no-lambda": ("gamma * gae_lambda * following", "gamma * following"),
    "no-gamma-in-delta": ("gamma * successor", "successor"),
    "returns-shifted": ("following + values[t, n]", "following + values[t + 1, n]"),
    "returns-without-values": ("following + values[t, n]", "following"),
}
