"""Lesson 19: the loop: collect a rollout, and split it into minibatches.

T steps, N environments, D numbers in an observation.
"""

import numpy as np


def collect(envs, act, obs, num_steps):
    """Step the environments and keep every transition.

    When an episode ends, the environment is reset in the same step: `envs.step` then returns the first observation of
    the next episode, and infos["final_obs"][n] is the last one of the old episode (None where no episode has ended; the
    key is missing if none has). If the episode was truncated, GAE needs the value of that last observation.

    Args:
        envs: N environments; envs.num_envs is N, and envs.step(actions) returns obs (N, D), rewards, terminations,
            truncations, (N,) each, and infos, a dict.
        act: act(obs) with obs (B, D) returns actions, logprobs, values, (B,) each.
        obs: the present observations, (N, D).
        num_steps: T.

    Returns:
        A dict with obs (T, N, D), actions (integers), logprobs, rewards, final_values, (T, N) each, terminations,
        truncations (booleans), (T, N) each, and values (T+1, N), whose last row belongs to the observations after the
        rollout; and these observations, (N, D). final_values is only read where an episode was truncated.
    """
    shape = num_steps, envs.num_envs
    rollout = {name: np.zeros(shape) for name in ("logprobs", "rewards", "final_values")}
    rollout |= {name: np.zeros(shape, bool) for name in ("terminations", "truncations")}
    rollout["obs"] = np.zeros((*shape, obs.shape[1]))
    rollout["actions"] = np.zeros(shape, int)
    rollout["values"] = np.zeros((num_steps + 1, envs.num_envs))
    for t in range(num_steps):
        rollout["obs"][t] = obs
        actions, rollout["logprobs"][t], rollout["values"][t] = act(obs)
        rollout["actions"][t] = actions
        obs, rewards, terminations, truncations, infos = envs.step(actions)
        rollout["rewards"][t] = rewards
        rollout["terminations"][t] = terminations
        rollout["truncations"][t] = truncations
        for n in np.flatnonzero(truncations):
            final_obs = infos["final_obs"][n]
            rollout["final_values"][t, n] = act(final_obs[None])[2][0]
    rollout["values"][num_steps] = act(obs)[2]
    return rollout, obs


def minibatches(num_rows, num_minibatches, rng):
    """Split the rows of a rollout into minibatches for one epoch, in a new random order at each call.

    Args:
        num_rows: rows, B.
        num_minibatches: M <= B.
        rng: numpy random generator; all randomness comes from it.

    Returns:
        A list of M index arrays. Each row is in exactly one of them; their sizes differ by 1 at most.
    """
    order = rng.permutation(num_rows)
    return np.array_split(order, num_minibatches)
