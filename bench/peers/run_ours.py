"""ppo_np, through its Python interface."""

import dataclasses
from typing import NoReturn

from protocol import FRAMEWORKS, Clock, Job, hide, take_turns


def measure(job: Job, clock: Clock) -> NoReturn:
    """Train."""
    hide(*FRAMEWORKS)  # tensorboardX imports torch wherever it is installed
    from ppo_np import PPO, PPOConfig

    known = {field.name for field in dataclasses.fields(PPOConfig)}
    ppo = PPO(PPOConfig(**{name: value for name, value in dataclasses.asdict(job).items() if name in known}))
    clock.start()
    ppo.learn(lambda ppo, _metrics: clock.mark(ppo.global_step))


if __name__ == "__main__":
    take_turns("ppo_np", ("numpy", "numba", "scipy", "gymnasium"), measure)
