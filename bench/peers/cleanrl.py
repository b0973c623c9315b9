"""PPO in torch as one plain loop, with the settings and the habits of CleanRL's ppo.py; in our own words.

Its habits: truncated episodes count as terminated ones, a reset row is learned from like any other, all arrays are
tensors, and each number of the rollout is written by an indexed assignment.
"""

from collections.abc import Callable
from typing import NoReturn

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from bench.peers.alone import make
from bench.peers.protocol import Clock, Job, Race, perform
from bench.peers.referee import Referee
from bench.peers.rows import NUM_ACTIONS, OBS_SIZE, random_rows, repeat
from bench.peers.torch_network import ActorCritic, Minibatch, adam, optimize


class Rollout:
    """Tensors for T x N transitions: obs (T, N, D), the others (T, N)."""

    def __init__(self, job: Job, obs_size: int):
        shape = (job.num_steps, job.num_envs)
        self.obs = torch.zeros(*shape, obs_size)
        self.actions = torch.zeros(shape, dtype=torch.int64)
        self.logprobs, self.rewards, self.dones, self.values = (torch.zeros(shape) for _ in range(4))

    def flat(self, advantages: Tensor) -> Minibatch:
        """All transitions as rows."""
        columns = (self.actions, self.logprobs, self.values, advantages, advantages + self.values)
        return Minibatch(self.obs.flatten(0, 1), *(column.flatten() for column in columns))


def learn(job: Job, envs: VectorEnv, updates: int, after_update: Callable[[int, ActorCritic], bool]) -> None:
    """Train for so many updates, or until `after_update(update, network)` says that it is enough."""
    torch.manual_seed(job.seed)
    np.random.seed(job.seed)
    network = ActorCritic(envs.single_observation_space.shape[0], int(envs.single_action_space.n), job)
    optimizer = adam(network, job)
    rollout = Rollout(job, envs.single_observation_space.shape[0])
    obs, _ = envs.reset(seed=job.seed)
    state = torch.Tensor(obs), torch.zeros(job.num_envs)
    for update in range(1, updates + 1):
        optimizer.param_groups[0]["lr"] = (1 - (update - 1) / updates) * job.learning_rate
        state = _collect(rollout, envs, network, *state)
        rows = rollout.flat(_advantages(rollout, network, *state, job))
        order = np.arange(job.batch_size)
        for _epoch in range(job.update_epochs):
            np.random.shuffle(order)
            for start in range(0, job.batch_size, job.minibatch_size):
                chosen = order[start : start + job.minibatch_size]
                optimize(network, optimizer, Minibatch(*(column[chosen] for column in rows)), job)
        if after_update(update, network):
            return


def _collect(
    rollout: Rollout, envs: VectorEnv, network: ActorCritic, obs: Tensor, dones: Tensor
) -> tuple[Tensor, Tensor]:
    """Fill the rollout; the observations and the ends of episodes that the next one begins with are returned."""
    for t in range(len(rollout.rewards)):
        rollout.obs[t], rollout.dones[t] = obs, dones
        with torch.no_grad():
            pi, rollout.values[t] = network(obs)
            actions = pi.sample()
            rollout.actions[t], rollout.logprobs[t] = actions, pi.log_prob(actions)
        next_obs, rewards, terminations, truncations, _ = envs.step(actions.numpy())
        rollout.rewards[t] = torch.tensor(rewards)
        obs, dones = torch.Tensor(next_obs), torch.Tensor(np.logical_or(terminations, truncations))
    return obs, dones


def _advantages(rollout: Rollout, network: ActorCritic, obs: Tensor, dones: Tensor, job: Job) -> Tensor:
    """Generalised advantage estimation, (T, N)."""
    with torch.no_grad():
        _, next_values = network(obs)
        advantages, last = torch.zeros_like(rollout.rewards), 0
        for t in reversed(range(job.num_steps)):
            goes_on = 1 - dones
            delta = rollout.rewards[t] + job.gamma * next_values * goes_on - rollout.values[t]
            advantages[t] = last = delta + job.gamma * job.gae_lambda * goes_on * last
            next_values, dones = rollout.values[t], rollout.dones[t]
    return advantages


def train(job: Job, clock: Clock) -> NoReturn:
    """Train. Reset rows count as steps here, which is in this contestant's favour."""
    torch.set_num_threads(job.threads)
    envs, updates = make(job), job.total_timesteps // job.batch_size
    clock.start()
    learn(job, envs, updates, lambda update, _network: clock.mark(update * job.batch_size))


def minibatch(job: Job, clock: Clock) -> NoReturn:
    """Do one minibatch with the network and the optimiser of the loop."""
    torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    network = ActorCritic(OBS_SIZE, NUM_ACTIONS, job)
    optimizer, columns = adam(network, job), random_rows(job.minibatch_size, job.seed)
    rows = Minibatch(**{name: torch.as_tensor(column) for name, column in columns.items()})
    repeat(lambda: optimize(network, optimizer, rows, job), clock)


def solve(race: Race) -> dict:
    """Train with CleanRL's defaults; evaluate with the most probable actions."""
    torch.set_num_threads(race.threads)
    job, referee = Job(env_id=race.env_id, seed=race.seed), Referee(race)

    def solved(update, network):
        def act(obs):
            with torch.no_grad():
                return network(torch.as_tensor(obs))[0].logits.argmax(dim=1).numpy()

        return referee.solved(update * job.batch_size, act)

    learn(job, make(job), race.total_timesteps // job.batch_size, solved)
    return referee.verdict()


if __name__ == "__main__":
    perform("CleanRL-style loop", ("torch", "gymnasium", "numpy"), train=train, minibatch=minibatch, solve=solve)
