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
            ppo.learn(lambda ppo, _: ppo.stop())  # one update: `flight` has settings for the next one
            ppo.save(folder / name)
            originals.append(Original(name, "checkpoint", (folder / name).read_bytes()))
            if name != "async":
                originals += crash_files(ppo, name, folder)
        finally:
            ppo.close()
    return originals


def crash_files(ppo: PPO, name: str, folder: Path) -> list[Original]:
    """As if a number had not been finite in a minibatch, in a rollout, or in what an environment gave."""
    rows = {
        crash_file.MINIBATCH: ppo._minibatch_rows(np.arange(8)),
        crash_file.ROLLOUT: {"obs": ppo._step_batch.obs, "actions": ppo._step_batch.distribution.actions},
        crash_file.ENVIRONMENT: {"rewards": np.array([1.0, np.nan])},
    }
    originals = []
    for during, arrays in rows.items():
        path = folder / f"{name}-{during}"
        crash_file.write_crash(path, crash_file.crash_of(ppo, ppo.config, "something went wrong.", during, arrays))
        originals.append(Original(path.name, "crash file", path.read_bytes()))
    return originals
