"""ppo_np, through its Python interface."""

import dataclasses

from protocol import FRAMEWORKS, Clock, Job, answer, hide


def measure(job: Job) -> dict:
    """Train for the job's updates; the median share of each part of a step is told as well."""
    hide(*FRAMEWORKS)  # tensorboardX imports torch wherever it is installed
    from ppo_np import PPO, PPOConfig

    known = {field.name for field in dataclasses.fields(PPOConfig)}
    settings = {name: value for name, value in dataclasses.asdict(job).items() if name in known}
    # Reset rows are no steps, so that a count of steps could end the run late: the updates are counted instead.
    ppo = PPO(PPOConfig(total_timesteps=2 * job.total_timesteps, **settings))
    seconds = []
    clock = Clock()

    def after_update(ppo, metrics):
        clock.mark(ppo.global_step)
        seconds.append((metrics.time_env, metrics.time_inference, metrics.time_update))
        if ppo.update == job.updates:
            ppo.stop()

    ppo.learn(after_update)
    ppo.close()
    later = [sum(column) for column in zip(*seconds[1:], strict=True)]
    shares = dict(zip(("environment", "inference", "update"), (part / sum(later) for part in later), strict=True))
    return clock.reading() | {"shares": shares}


if __name__ == "__main__":
    answer("ppo_np", ("numpy", "numba", "scipy", "gymnasium"), measure)
