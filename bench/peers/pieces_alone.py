"""Seconds of what a rank does by itself, by its environments: a rollout, a minibatch. Prints JSON."""

import json
import sys
import timeit
from dataclasses import replace
from statistics import mean, median, stdev

import numpy as np
from our_config import config_of
from protocol import Job, from_json

from ppo_np import PPO
from ppo_np.dealer import Dealer, shuffled
from ppo_np.ranks import Ranks

UPDATES, WARM = 24, 4


def run(job: Job, num_envs: int) -> dict[str, float]:
    """The first updates of a run with so many environments: seconds of a rollout, their spread, those of a minibatch.

    A minibatch's are those of the whole update, divided: with its gathering, Adam, advantages and Python.
    """
    rollouts, learning = [], []
    ppo = PPO(config_of(replace(job, num_envs=num_envs)))

    def after_update(ppo: PPO, metrics: object) -> None:
        rollouts.append(metrics.time_env + metrics.time_inference)
        learning.append(metrics.time_update)
        if len(rollouts) == UPDATES:
            ppo.stop()

    ppo.learn(after_update)
    ppo.close()
    minibatches = job.update_epochs * job.num_minibatches
    return {
        "rollout": mean(rollouts[WARM:]),
        "deviation": stdev(rollouts[WARM:]),
        "minibatch": mean(learning[WARM:]) / minibatches,
    }


class OneOfMany(Ranks):
    """Rank 0 of so many, whose sums cost nothing: for what every rank has to do with all rows."""

    def __init__(self, size: int):
        self.size = size


def deal_per_row(job: Job, size: int = 64) -> float:
    """Seconds to shuffle and to deal one row of so many ranks' rollout."""
    num_envs = size * job.num_envs
    dealer, rng = Dealer(OneOfMany(size), job.num_steps, num_envs), np.random.default_rng(0)
    rows, advantages = np.arange(job.num_steps * num_envs), np.ones(job.batch_size, np.float32)

    def epoch() -> None:
        dealer.deal(shuffled(rows, 1, rng), job.num_minibatches, advantages)

    return median(timeit.repeat(epoch, number=1, repeat=9)) / len(rows)


def main() -> None:
    """Measure for each number of ranks of the second argument, a JSON list, as much as one of them has to do.

    If the list is empty, only the whole job.
    """
    job, sizes = from_json(Job, sys.argv[1]), json.loads(sys.argv[2])
    if not sizes:
        print(json.dumps(run(job, job.num_envs)))
        return
    print(
        json.dumps(
            {"runs": {size: run(job, job.num_envs // size) for size in sizes}, "deal_per_row": deal_per_row(job)}
        )
    )


if __name__ == "__main__":
    main()
