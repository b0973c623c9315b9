"""Seconds of what a rank does by itself: a rollout by environments, a minibatch by rows. Prints JSON."""

import json
import sys
import timeit
from dataclasses import replace
from statistics import mean, median, stdev
from time import perf_counter

import numpy as np
from our_config import config_of
from protocol import Job, from_json

from ppo_np import PPO
from ppo_np.dealer import Dealer
from ppo_np.ranks import Ranks

UPDATES, WARM, SECONDS = 24, 4, 0.3


def rollouts(job: Job, num_envs: int) -> dict[str, float]:
    """Mean and spread of the seconds of one rollout with so many environments, in the first updates of a run."""
    found = []
    ppo = PPO(config_of(replace(job, num_envs=num_envs)))

    def after_update(ppo: PPO, metrics: object) -> None:
        found.append(metrics.time_env + metrics.time_inference)
        if len(found) == UPDATES:
            ppo.stop()

    ppo.learn(after_update)
    ppo.close()
    return {"mean": mean(found[WARM:]), "deviation": stdev(found[WARM:])}


def minibatch(job: Job, rows: int) -> float:
    """Median seconds to gather so many rows of a rollout, to learn from them, and for Adam."""
    ppo = PPO(config_of(job))
    ppo.stream.reset(job.seed)
    buffer, config = ppo._buffer, ppo.config
    rng = np.random.default_rng(0)
    buffer.obs[:], buffer.logprobs[:] = rng.standard_normal(buffer.obs.shape), -np.log(4)
    buffer.advantages[:], buffer.returns[:] = rng.standard_normal((2, *buffer.returns.shape))
    order, seconds, begun = rng.permutation(job.batch_size)[:rows], [], perf_counter()
    while perf_counter() - begun < SECONDS:
        start = perf_counter()
        batch = ppo._minibatch(rows)
        buffer.gather(order, ppo.policy, batch)
        ppo._gradient.loss_and_gradient(batch, config)
        ppo._optimize(config, batch)
        seconds.append(perf_counter() - start)
    ppo.close()
    return median(seconds)


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
        rng.shuffle(rows)
        list(dealer.deal(rows, job.num_minibatches, advantages))

    return median(timeit.repeat(epoch, number=1, repeat=9)) / len(rows)


def main() -> None:
    """Measure for each number of ranks of the second argument, a JSON list, as much as one of them has to do.

    If the list is empty, only the rollout of the whole job.
    """
    job, sizes = from_json(Job, sys.argv[1]), json.loads(sys.argv[2])
    if not sizes:
        print(json.dumps({"rollout": rollouts(job, job.num_envs)}))
        return
    result = {
        "rollouts": {size: rollouts(job, job.num_envs // size) for size in sizes},
        "deal_per_row": deal_per_row(job),
        "minibatches": {size: minibatch(job, job.minibatch_size // size) for size in sizes},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
