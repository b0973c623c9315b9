"""The whole files that mutants are made of: checkpoints of three kinds of runs, and crash files of each kind."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ppo_np import PPO, PPOConfig
from ppo_np.saving import crash_file

SMALL = {"total_timesteps": 64, "num_envs": 2, "num_steps": 16, "seed": 3, "shared_sizes": (8,)}
RUNS = {
    "discrete": PPOConfig(env_id="CartPole-v1", policy_sizes=(6,), **SMALL),
    "box": PPOConfig(env_id="Pendulum-v1", norm_obs=True, norm_reward=True, **SMALL),
    "async": PPOConfig(env_id="CartPole-v1", vectorization="async", **SMALL),
}


class Original(NamedTuple):
    """A file as it should be: its bytes, and whether it is a "checkpoint" or a "crash file"."""

    name: str
    kind: str
    data: bytes


def make(folder: Path) -> list[Original]:
    """Do short runs, and keep what they leave."""
    originals = []
    for name, config in RUNS.items():
        ppo = PPO(config)
        try:
            ppo.learn(lambda ppo, _: ppo.stop())  # one update: a crash file has settings for the next one
            ppo.save(folder / name)
            originals.append(Original(name, "checkpoint", (folder / name).read_bytes()))
            if name != "async":
                originals += crash_files(ppo, name, folder)
        finally:
            ppo.close()
    return originals


def crash_files(ppo: PPO, name: str, folder: Path) -> list[Original]:
    """As if a number had not been finite in a minibatch, in a rollout, or in what an environment gave."""
    minibatch, buffer = ppo.policy.model.minibatch(8), ppo._buffer
    buffer.gather(np.arange(8), ppo.policy, minibatch)
    rows = {
        crash_file.MINIBATCH: {name: getattr(minibatch, name) for name in crash_file.MINIBATCH_ARRAYS},
        crash_file.ROLLOUT: {"obs": buffer.obs[-1], "actions": buffer.actions[-1]},
        crash_file.ENVIRONMENT: {"rewards": np.array([1.0, np.nan])},
    }
    originals = []
    for during, arrays in rows.items():
        path = folder / f"{name}-{during}"
        crash_file.write_crash(
            path, crash_file.crash_of(ppo.state, ppo.config, "something went wrong.", during, arrays)
        )
        originals.append(Original(path.name, "crash file", path.read_bytes()))
    return originals
