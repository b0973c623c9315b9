"""The environments of the contestants that do not make their own, as Gymnasium and EnvPool give them."""

from functools import partial

import gymnasium
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from protocol import Job


def make(job: Job, *, bare: bool = False) -> VectorEnv:
    """The vector environment of a job.

    Args:
        job: names it.
        bare: leave out what training needs and stepping does not: records of episodes, and copies of observations.
    """
    if job.vectorization == "vector":
        return gymnasium.make_vec(job.env_id, job.num_envs, vectorization_mode="vector_entry_point")
    if job.vectorization == "envpool":
        import envpool  # an optional dependency

        return envpool.make(
            job.env_id, env_type="gymnasium", num_envs=job.num_envs, num_threads=job.num_env_threads, seed=job.seed
        )
    one = partial(gymnasium.make, job.env_id) if bare else partial(_recorded, job.env_id)
    return SyncVectorEnv([one] * job.num_envs, copy=not bare, autoreset_mode=AutoresetMode.SAME_STEP)


def _recorded(env_id: str) -> gymnasium.Env:
    return gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.make(env_id))


def resets_later(envs: VectorEnv) -> bool:
    """Whether the row after an episode's last one is a reset row, which is no transition."""
    return envs.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
