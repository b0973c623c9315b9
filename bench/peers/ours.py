"""ppo_np: training through its Python interface, one minibatch, and the race to solve the environment."""

import dataclasses
import math
import time
from typing import NoReturn

from bench.ours import Learner, config_of, limit_blas_threads
from bench.peers.protocol import Clock, Job, Race, perform
from bench.peers.referee import Referee, pendulum_job
from bench.peers.rows import random_rows, repeat
from ppo_np import PPO, PPOConfig
from ppo_np.config import preset_for
from ppo_np.distributed.mpi import world


def train(job: Job, clock: Clock) -> NoReturn:
    """Train."""
    ppo = PPO(config_of(job))
    clock.start()
    ppo.learn(lambda ppo, _metrics: clock.mark(ppo.global_step))


def minibatch(job: Job, clock: Clock) -> NoReturn:
    """Do one minibatch with the model, the kernels and the threads that training uses."""
    learner = Learner(config_of(job), random_rows(job.minibatch_size, job.seed))
    with limit_blas_threads(job.threads):
        repeat(learner.step, clock)


def solve(race: Race) -> dict:
    """Train with the preset that is named for the environment; evaluate with `predict`, on rank 0 of several."""
    names = ("seed", "threads", "total_timesteps", "vectorization")
    known = {name: getattr(race, name) for name in names if getattr(race, name) is not None}
    ranks = world()
    ppo = PPO(dataclasses.replace(PPOConfig.preset(preset_for(race.env_id)), **known), ranks=ranks)
    referee = Referee(race)

    def after_update(ppo, metrics):
        if ranks.rank == 0 and referee.solved(metrics.step, ppo.predict):
            ppo.stop()

    ppo.learn(after_update)
    ppo.close()
    if ranks.rank:
        raise SystemExit
    return referee.verdict()


def pendulum(race: Race) -> dict:
    """Train with RLtools' published settings for Pendulum, from the first step to the last, kernels loaded before."""
    config = dataclasses.replace(
        config_of(pendulum_job(race)), anneal_lr=False, adam_eps=1e-8, log_std_init=math.log(4), norm_obs=True,
        norm_reward=True, clip_vloss=False, max_grad_norm=1e9, max_grad_norm_value=1e9,
    )  # fmt: skip
    loading = PPO(config)
    loading.learn(lambda ppo, _metrics: ppo.stop())
    loading.close()
    ppo = PPO(config)
    referee = Referee(dataclasses.replace(race, started=time.time()))

    def after_update(ppo, metrics):
        referee.solved(metrics.step, ppo.predict)  # only plays: training goes on to the end

    ppo.learn(after_update)
    ppo.close()
    return {"curve": referee.curve}


if __name__ == "__main__":
    libraries = "numpy", "numba", "scipy", "gymnasium"
    perform("ppo_np", libraries, train=train, minibatch=minibatch, solve=solve, pendulum=pendulum)
