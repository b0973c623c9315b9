"""One minibatch by torch, eagerly: forward pass, loss, backward pass, clipping, Adam."""

from typing import NoReturn

from protocol import Clock, Job, take_turns
from rows import NUM_ACTIONS, OBS_SIZE, random_rows, repeat


def measure(job: Job, clock: Clock) -> NoReturn:
    """Do it with the network and the optimiser of the CleanRL-style loop."""
    import torch
    from torch_network import ActorCritic, Minibatch, adam, optimize

    torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    network = ActorCritic(OBS_SIZE, NUM_ACTIONS, job)
    optimizer = adam(network, job)
    rows = Minibatch(**{name: torch.as_tensor(column) for name, column in random_rows(job).items()})
    repeat(lambda: optimize(network, optimizer, rows, job), clock)


if __name__ == "__main__":
    take_turns("torch, eager", ("torch", "numpy"), measure)
