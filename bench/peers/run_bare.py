"""The environments alone; see `gym_envs.Alone`."""

from typing import NoReturn

from gym_envs import Alone
from protocol import Clock, Job, take_turns


def measure(job: Job, clock: Clock) -> NoReturn:
    """Step the environments as training would."""
    alone, steps = Alone(job), 0
    clock.start()
    while True:
        steps += alone.rollout()
        clock.mark(steps)


if __name__ == "__main__":
    take_turns("environment alone", ("gymnasium", "numpy"), measure)
