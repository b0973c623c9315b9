"""ppo_np, through its Python interface."""

from typing import NoReturn

from our_config import config_of
from protocol import Clock, Job, take_turns

from ppo_np import PPO


def measure(job: Job, clock: Clock) -> NoReturn:
    """Train."""
    ppo = PPO(config_of(job))
    clock.start()
    ppo.learn(lambda ppo, _metrics: clock.mark(ppo.global_step))


if __name__ == "__main__":
    take_turns("ppo_np", ("numpy", "numba", "scipy", "gymnasium"), measure)
