"""Our settings for a job of the comparisons."""

import dataclasses

from protocol import Job

from ppo_np import PPOConfig


def config_of(job: Job) -> PPOConfig:
    """Those of the job's fields that are settings of ours."""
    known = {field.name for field in dataclasses.fields(PPOConfig)}
    return PPOConfig(**{name: value for name, value in dataclasses.asdict(job).items() if name in known})
