"""Slices of work in this process, for benchmarks that compare parts of ours with each other: seconds of each."""

from collections.abc import Callable
from time import perf_counter

from bench.ours import config_of
from bench.peers.alone import Alone
from bench.peers.protocol import Job
from ppo_np import PPO
from ppo_np.learning.metrics import Metrics


def per_call(function: Callable[[], object], seconds: float) -> float:
    """Seconds of one call, the mean over as many calls as fill so many seconds."""
    calls, begin = 0, perf_counter()
    while True:
        function()
        calls += 1
        if perf_counter() - begin >= seconds:
            return (perf_counter() - begin) / calls


def alone_seconds(alone: Alone, seconds: float) -> float:
    """Seconds of one step of the environments alone, over as many rollouts as fill so many seconds."""
    steps, begin = 0, perf_counter()
    while True:
        steps += alone.rollout()
        if perf_counter() - begin >= seconds:
            return (perf_counter() - begin) / steps


class Training:
    """A training run that goes on slice by slice; the first update, which may compile, is done at once.

    Attributes:
        ppo: it.
        metrics: those of the updates of the last slice.
    """

    def __init__(self, job: Job):
        self.ppo, self.metrics = PPO(config_of(job)), []
        self.seconds_a_step(0)

    def seconds_a_step(self, seconds: float) -> float:
        """Train for at least so many seconds and one update; seconds of one environment step."""
        self.metrics: list[Metrics] = []
        steps, begin = self.ppo.global_step, perf_counter()

        def after_update(ppo: PPO, metrics: Metrics) -> None:
            self.metrics.append(metrics)
            if perf_counter() - begin >= seconds:
                ppo.stop()

        self.ppo.learn(after_update)
        return (perf_counter() - begin) / (self.ppo.global_step - steps)
