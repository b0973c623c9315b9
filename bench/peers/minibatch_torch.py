"""One minibatch by torch, eagerly: forward pass, loss, backward pass, clipping, Adam."""

from protocol import Job, answer
from rows import NUM_ACTIONS, OBS_SIZE, random_rows, timed


def measure(job: Job) -> dict:
    """Time it with the network and the optimiser of the CleanRL-style loop."""
    import torch
    from torch_network import ActorCritic, Minibatch, adam, optimize

    torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    network = ActorCritic(OBS_SIZE, NUM_ACTIONS, job)
    optimizer = adam(network, job)
    rows = Minibatch(**{name: torch.as_tensor(column) for name, column in random_rows(job).items()})
    return timed(lambda: optimize(network, optimizer, rows, job), job)


if __name__ == "__main__":
    answer("torch, eager", ("torch", "numpy"), measure)
