"""Demonstrations for tests: a scripted expert in CartPole, and random rows in spaces of all kinds."""

import gymnasium
import numpy as np


def push(obs):
    """Push towards where the pole falls: 1 if angle + angular velocity > 0. It reaches 500 in most episodes."""
    return int(obs[2] + obs[3] > 0)


def cartpole(steps, seed=0):
    """So many steps of the expert, as the arrays of an .npz file."""
    env = gymnasium.make("CartPole-v1")
    obs, _ = env.reset(seed=seed)
    rows = []
    for _ in range(steps):
        action = push(obs)
        following, _, terminated, truncated, _ = env.step(action)
        rows.append((obs, action, terminated or truncated))
        obs = env.reset()[0] if terminated or truncated else following
    observations, actions, ends = map(np.array, zip(*rows, strict=True))
    return {"observations": observations, "actions": actions, "episode_ends": ends}


def cartpole_file(folder, steps=2000):
    """An .npz file of the expert; returns its path."""
    path = folder / "expert.npz"
    np.savez(path, **cartpole(steps))
    return path
