"""RLtools' PPO in C++ on its own Pendulum, compiled here with g++; its matrix products are MKL's, or its own.

Actor and critic are separate networks with an Adam each; the gradient is not clipped, nor the value loss, and the
learning rate stays. Its environment takes torques of [-1, 1], and does without Gymnasium's wrappers.
"""

import os
import time
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from bench.machine import ROOT
from bench.peers.protocol import Clock, Job, Race, perform
from bench.peers.referee import Referee, pendulum_job

ENVIRONMENT = """\
#include <rl_tools/rl/environments/pendulum/operations_cpu.h>
namespace pendulum = rl_tools::rl::environments::pendulum;
template <typename T, typename TI>
using ENVIRONMENT_FACTORY =
    rl_tools::rl::environments::Pendulum<pendulum::Specification<T, TI, pendulum::DefaultParameters<T>>>;
"""
FOREVER = 1_000_000  # updates


def compiled(name: str, job: Job, **more: Any) -> Any:
    """RLtools' module for a job, compiled if no process has done so before: a minute or two."""
    from rltools import PPO  # an optional dependency; it looks for MKL when it is imported

    folder = ROOT / "runs" / "bench" / "rltools"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "environment.h").write_text(ENVIRONMENT)
    return PPO(
        {"path": str(folder), "action_dim": 1, "observation_dim": 3}, enable_evaluation=False, interface_name=name,
        N_ENVIRONMENTS=job.num_envs, ON_POLICY_RUNNER_STEPS_PER_ENV=job.num_steps, BATCH_SIZE=job.minibatch_size,
        N_EPOCHS=job.update_epochs, GAMMA=job.gamma, LAMBDA=job.gae_lambda, EPSILON_CLIP=job.clip_coef,
        ACTION_ENTROPY_COEFFICIENT=job.ent_coef, OPTIMIZER_ALPHA=job.learning_rate,
        ACTOR_HIDDEN_DIM=job.policy_sizes[0], ACTOR_NUM_LAYERS=len(job.policy_sizes) + 1,
        CRITIC_HIDDEN_DIM=job.value_sizes[0], CRITIC_NUM_LAYERS=len(job.value_sizes) + 1,
        ACTOR_ACTIVATION_FUNCTION=job.activation.upper(), CRITIC_ACTIVATION_FUNCTION=job.activation.upper(), **more,
    )  # fmt: skip


def train(job: Job, clock: Clock, name: str = "train") -> NoReturn:
    """Train."""
    state, steps = compiled(name, job, STEP_LIMIT=FOREVER).State(job.seed), 0
    clock.start()
    while True:
        state.step()
        steps += job.batch_size
        clock.mark(steps)


def train_without_mkl(job: Job, clock: Clock) -> NoReturn:
    """Train with RLtools' own matrix products."""
    os.environ["RL_TOOLS_DISABLE_MKL"] = "1"
    train(job, clock, "train_without_mkl")


def pendulum(race: Race) -> dict:
    """Train with RLtools' published settings for Pendulum, from the first step to the last."""
    job = pendulum_job(race)
    settings = {"INITIAL_ACTION_STD": 2.0, "NORMALIZE_OBSERVATIONS": True, "OPTIMIZER_EPSILON": 1e-8}
    updates = race.total_timesteps // job.batch_size
    module = compiled("pendulum", job, STEP_LIMIT=updates - 1, **settings)  # it does one more
    state = module.State(race.seed)

    def act(observations: np.ndarray) -> np.ndarray:
        actions = [state.action(row) for row in np.float32(observations)]
        return 2 * np.clip(actions, -1, 1)

    referee = Referee(replace(race, started=time.time()))
    for update in range(1, updates + 1):
        assert state.step() == (update == updates)
        referee.solved(update * job.batch_size, act)
    return {"curve": referee.curve}


if __name__ == "__main__":
    packages = "rltools", "mkl"
    perform("RLtools", packages, train=train, train_without_mkl=train_without_mkl, pendulum=pendulum)
