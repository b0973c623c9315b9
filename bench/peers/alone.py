"""The environments as Gymnasium and EnvPool give them, and ours, and how quick they are without any training."""

from typing import NoReturn

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from bench.peers.protocol import Clock, Job, perform


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

    def one() -> gymnasium.Env:
        env = gymnasium.make(job.env_id)
        return env if bare else gymnasium.wrappers.RecordEpisodeStatistics(env)

    return SyncVectorEnv([one] * job.num_envs, copy=not bare, autoreset_mode=AutoresetMode.SAME_STEP)


class Alone:
    """The environments of a job with random actions, drawn beforehand: no training can be faster."""

    def __init__(self, job: Job):
        self._envs, self._shape = make(job, bare=True), (job.num_steps, job.num_envs)
        self._rng = np.random.default_rng(job.seed)
        self._ended = np.zeros((2, *self._shape), bool)
        self._envs.reset(seed=job.seed)

    def rollout(self) -> int:
        """Step them as one rollout does; the transitions done. A reset row, after an episode's last one, is none."""
        envs, ended, space = self._envs, self._ended, self._envs.single_action_space
        actions = self._rng.integers(space.n, size=self._shape, dtype=space.dtype)
        for t in range(len(actions)):
            _, _, ended[0, t], ended[1, t], _ = envs.step(actions[t])
        resets_later = envs.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
        lost = np.count_nonzero(ended.any(axis=0)) if resets_later else 0
        return actions.size - int(lost)


class CompiledAlone:
    """Compiled environments with random actions: their kernel, from which Python does not draw new episodes."""

    def __init__(self, job: Job):
        from bench.compiled import BareSteps, random_actions  # Numba, which the others do without

        self._bare = BareSteps(job.env_id, job.num_envs, job.seed)
        self._actions = random_actions(self._bare.envs, job.num_steps, job.seed)

    def rollout(self) -> int:
        """Step them as one rollout does; the transitions done."""
        self._bare.run(self._actions)
        return len(self._actions) * self._bare.envs.num_envs


def alone_of(job: Job) -> Alone | CompiledAlone:
    """The environments of a job."""
    return CompiledAlone(job) if job.vectorization == "compiled" else Alone(job)


def train(job: Job, clock: Clock) -> NoReturn:
    """Step the environments as training would."""
    alone, steps = alone_of(job), 0
    clock.start()
    while True:
        steps += alone.rollout()
        clock.mark(steps)


if __name__ == "__main__":
    perform("environment alone", ("gymnasium", "numpy"), train=train)
