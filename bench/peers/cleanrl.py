"""The loop of CleanRL's ppo.py in torch, in our own words (see torch_loop.py), and one minibatch of it."""

from typing import NoReturn

from bench.peers.alone import make
from bench.peers.protocol import Clock, Job, Race, perform
from bench.peers.referee import Referee
from bench.peers.rows import NUM_ACTIONS, OBS_SIZE, random_rows, repeat


def train(job: Job, clock: Clock) -> NoReturn:
    """Train. Reset rows count as steps here, which is in this contestant's favour."""
    import torch

    from bench.peers import torch_loop

    torch.set_num_threads(job.threads)
    envs, updates = make(job), job.total_timesteps // job.batch_size
    clock.start()
    torch_loop.train(job, envs, updates, lambda update, _network: clock.mark(update * job.batch_size))


def minibatch(job: Job, clock: Clock) -> NoReturn:
    """Do one minibatch with the network and the optimiser of the loop."""
    import torch

    from bench.peers.torch_network import ActorCritic, Minibatch, adam, optimize

    torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    network = ActorCritic(OBS_SIZE, NUM_ACTIONS, job)
    optimizer, columns = adam(network, job), random_rows(job.minibatch_size, job.seed)
    rows = Minibatch(**{name: torch.as_tensor(column) for name, column in columns.items()})
    repeat(lambda: optimize(network, optimizer, rows, job), clock)


def solve(race: Race) -> dict:
    """Train with CleanRL's defaults; evaluate with the most probable actions."""
    import torch

    from bench.peers import torch_loop

    torch.set_num_threads(race.threads)
    job, referee = Job(env_id=race.env_id, seed=race.seed), Referee(race)

    def solved(update, network):
        def act(obs):
            with torch.no_grad():
                return network(torch.as_tensor(obs))[0].logits.argmax(dim=1).numpy()

        return referee.solved(update * job.batch_size, act)

    torch_loop.train(job, make(job), race.total_timesteps // job.batch_size, solved)
    return referee.verdict()


if __name__ == "__main__":
    perform("CleanRL-style loop", ("torch", "gymnasium", "numpy"), train=train, minibatch=minibatch, solve=solve)
