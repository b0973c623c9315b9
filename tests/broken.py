"""Environments that make trouble to their process: a bug of the program's, not of `step`; a step that takes long;
a process that is left behind; a `close` that hangs.
"""

import os
import signal
import time
from pathlib import Path

import gymnasium
import numpy as np

from ppo_np.environments import guard, workers

CLOSING = "PPO_NP_TESTS_CLOSING"
CLOSE_TIMEOUT = 2.0  # seconds, so that tests of `Closing` do not take long


class Bug(BaseException):
    """Not an Exception, so that nobody takes it for the environment's."""


class Broken(gymnasium.Env):
    """Environment 3 raises a `Bug` in its step 100; nothing else ever happens."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, render_mode=None):
        self.steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.number = seed
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        if self.number == 3 and self.steps == 100:
            raise Bug("on rank 1")
        return np.zeros(1, np.float32), 1.0, False, False, {}


class Slow(Broken):
    """Each step takes 0.3 s."""

    def step(self, action):
        time.sleep(0.3)
        return np.zeros(1, np.float32), 1.0, False, False, {}


class Asleep(Broken):
    """Environment 3 falls asleep in its step 40."""

    def step(self, action):
        self.steps += 1
        if self.number == 3 and self.steps == 40:
            time.sleep(1000)
        return np.zeros(1, np.float32), 1.0, False, False, {}


class Forking(Asleep):
    """Environment 0 leaves a process behind, which keeps everything open that its rank has open."""

    def reset(self, *, seed=None, options=None):
        if seed == 0 and os.fork() == 0:
            time.sleep(1000)
        return super().reset(seed=seed)


class Closing(Broken):
    """The environments from number 2 on, which rank 1 of 2 has if there are 4, hang in their close.

    They first make the file that the environment variable `CLOSING` names. Environment 3 fails in its step `fails_at`.
    If `deaf`, they cannot be interrupted. Their process has a limit of `CLOSE_TIMEOUT`.
    """

    def __init__(self, fails_at=None, deaf=False, render_mode=None):
        super().__init__()
        guard.CLOSE_TIMEOUT = workers.CLOSE_TIMEOUT = CLOSE_TIMEOUT
        self.number, self.fails_at, self.deaf = None, fails_at, deaf

    def step(self, action):
        self.steps += 1
        if self.number == 3 and self.steps == self.fails_at:
            raise RuntimeError("it is broken")
        return np.zeros(1, np.float32), 1.0, False, False, {}

    def close(self):
        if self.number is None or self.number < 2:
            return
        if self.deaf:
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
        Path(os.environ[CLOSING]).touch()
        time.sleep(1000)


for name, kind in (
    ("Bug-v0", Broken), ("Slow-v0", Slow), ("Asleep-v0", Asleep), ("Forking-v0", Forking), ("Closing-v0", Closing),
):  # fmt: skip
    gymnasium.register(name, kind, disable_env_checker=True)
gymnasium.register("FailingAndClosing-v0", Closing, kwargs={"fails_at": 20}, disable_env_checker=True)
gymnasium.register("DeafAndClosing-v0", Closing, kwargs={"deaf": True}, disable_env_checker=True)
