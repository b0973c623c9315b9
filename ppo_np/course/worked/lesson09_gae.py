"""Lesson 9: generalised advantage estimation (Schulman et al. 2016).

T steps of N environments. Row t is transition t: from the state s_t, with the action a_t, to its successor.
"""

import numpy as np


def gae(rewards, values, final_values, terminations, truncations, gamma, gae_lambda):
    """Advantages of the actions, and targets for the values. Each sum ends with the last transition of its episode.

    A_t = sum_i (gamma lambda)^i delta_{t+i},   delta_t = r_t + gamma V(s'_t) - V(s_t),   R_t = A_t + V(s_t)

    s'_t is the real successor of s_t. After a termination no reward follows: V(s'_t) counts as 0, also if the
    transition was truncated at the same time. After a truncation V(s'_t) is final_values[t]; values[t+1] belongs to the
    first state of the next episode then. The sum also ends with the last transition of the rollout.

    Args:
        rewards: r, (T, N).
        values: V(s_t), (T+1, N); the last row is V of the states after the rollout.
        final_values: V of the last observation of an episode where it was truncated, (T, N); other entries say nothing.
        terminations, truncations: (T, N) booleans: how transition t ended its episode, if it did.
        gamma: discount factor, in [0, 1].
        gae_lambda: lambda, in [0, 1].

    Returns:
        advantages A (T, N), returns R (T, N).
    """
    advantages = np.zeros(rewards.shape)
    advantage = np.zeros(rewards.shape[1])
    dones = terminations | truncations
    for t in reversed(range(len(rewards))):
        successors = np.where(truncations[t], final_values[t], values[t + 1])
        bootstraps = np.where(terminations[t], 0.0, successors)
        deltas = rewards[t] + gamma * bootstraps - values[t]
        carried = np.where(dones[t], 0.0, advantage)
        advantage = deltas + gamma * gae_lambda * carried
        advantages[t] = advantage
    returns = advantages + values[:-1]
    return advantages, returns
