"""The loop of CleanRL's ppo.py in torch, in our own words; see torch_loop.py."""

from typing import NoReturn

from protocol import Clock, Job, take_turns


def measure(job: Job, clock: Clock) -> NoReturn:
    """Train. Reset rows count as steps here, which is in this contestant's favour."""
    import torch
    from gym_envs import make
    from torch_loop import train

    torch.set_num_threads(job.threads)
    envs = make(job)
    clock.start()
    train(
        job, envs, job.total_timesteps // job.batch_size, lambda update, _network: clock.mark(update * job.batch_size)
    )


if __name__ == "__main__":
    take_turns("CleanRL-style loop", ("torch", "gymnasium", "numpy"), measure)
