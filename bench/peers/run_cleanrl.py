"""The loop of CleanRL's ppo.py in torch, in our own words; see torch_loop.py."""

from protocol import Clock, Job, answer


def measure(job: Job) -> dict:
    """Train for the job's updates. Reset rows count as steps here, which is in this contestant's favour."""
    import torch
    from environments import make
    from torch_loop import train

    torch.set_num_threads(job.threads)
    envs = make(job)
    clock = Clock()
    train(job, envs, job.updates, lambda update, _network: clock.mark(update * job.batch_size))
    envs.close()
    return clock.reading()


if __name__ == "__main__":
    answer("CleanRL-style loop", ("torch", "gymnasium", "numpy"), measure)
