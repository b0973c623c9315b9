"""An environment that goes wrong on request, and how to run it; known to Gymnasium as faulty:<Fault>-v0."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

BOX = spaces.Box(-np.inf, np.inf, (2,), np.float32)
IMAGE = spaces.Box(0, 255, (2,), np.uint8)


def raise_exception():
    raise RuntimeError("the simulator\nis gone")


def hang():
    time.sleep(1000)


def stop():
    os.kill(os.getpid(), signal.SIGSTOP)


def hang_and_ignore_signals():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    hang()


def hang_and_swallow():
    """Whatever is raised in its first sleep is lost."""
    try:
        hang()
    except Exception:
        hang()


class Faulty(gymnasium.Env):
    """Observation (episode, step / 10), reward 1; episodes are truncated after 5 steps.

    Environment number `index` (which it knows from its seed, if environment 0 is seeded with 0) misbehaves once: in its
    step number `at`, counted from 1 over all episodes, or, with `in_reset`, in the reset that comes after that step.

    Args:
        index, at, in_reset: which environment, and when.
        obs, reward: given instead of the right ones, unless they are `...`.
        call: called first.
        wrong_answer: what `step` returns, unless it is `...`.
        info: given as info.
        close: called in `close`, in worker processes.
        make: called by the constructor in the worker process of environment `index`.
        space: of the observations.
    """

    metadata = {"render_modes": []}

    def __init__(
        self, index=2, at=13, in_reset=False, obs=..., reward=..., call=None, wrong_answer=..., info=None, close=None,
        make=None, space=BOX, render_mode=None,
    ):  # fmt: skip
        self.observation_space, self.action_space = space, spaces.Discrete(2)
        self.fault = (index, at, in_reset)
        self.wrong_obs, self.wrong_reward, self.call, self.wrong_answer = obs, reward, call, wrong_answer
        self.wrong_info, self.on_close = info or {}, close
        self.index, self.steps, self.episode = None, 0, -1
        if make and multiprocessing.current_process().name.endswith(f"-{index}"):
            make()

    def _obs(self, wrong):
        if wrong and self.wrong_obs is not ...:
            return self.wrong_obs
        if isinstance(self.observation_space, spaces.Box):
            return np.array([self.episode, self.steps % 5 / 10]).astype(self.observation_space.dtype)
        return 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.index = seed if self.index is None else self.index
        self.episode += 1
        wrong = self.fault == (self.index, self.steps, True)
        if wrong and self.call:
            self.call()
        return self._obs(wrong), self.wrong_info if wrong else {}

    def step(self, action):
        self.steps += 1
        wrong = self.fault == (self.index, self.steps, False)
        if wrong and self.call:
            self.call()
        if wrong and self.wrong_answer is not ...:
            return self.wrong_answer
        reward = self.wrong_reward if wrong and self.wrong_reward is not ... else 1.0
        return self._obs(wrong), reward, False, self.steps % 5 == 0, self.wrong_info if wrong else {}

    def close(self):
        if self.on_close and multiprocessing.parent_process():
            self.on_close()


class FaultyVector(VectorEnv):
    """The same as a vector environment of its own, in either way of autoreset."""

    def __init__(self, num_envs=3, mode=AutoresetMode.NEXT_STEP, **fault):
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": mode}
        self._inner = inner = SyncVectorEnv([lambda: Faulty(**fault)] * num_envs, autoreset_mode=mode)
        self.single_observation_space, self.observation_space = BOX, inner.observation_space
        self.single_action_space, self.action_space = inner.single_action_space, inner.action_space

    def reset(self, *, seed=None, options=None):
        return self._inner.reset(seed=seed)

    def step(self, actions):
        return self._inner.step(actions)

    def close_extras(self, **kwargs):
        self._inner.close()


BY_ID = {
    "Healthy": {"at": -1},
    "NaN": {"reward": np.nan},
    "Raising": {"call": raise_exception},
    "Hanging": {"call": hang},
    "Deaf": {"call": hang_and_ignore_signals},
    "Infinite": {"at": 0, "in_reset": True, "obs": np.array([np.inf, 0], np.float32)},
    "Late": {"at": 0, "in_reset": True, "call": hang},
}


def register():
    """Make the environments known to `gymnasium.make`; doing so twice is harmless."""
    for name, fault in BY_ID.items():
        if f"{name}-v0" not in gymnasium.registry:
            gymnasium.register(
                f"{name}-v0", Faulty, kwargs=fault, disable_env_checker=True, vector_entry_point=FaultyVector
            )


def processes_of(session: int) -> list[int]:
    """The living processes of a session; zombies do not count."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _parent, _group, its_session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its_session) == session and state != "Z":
            found.append(int(folder.name))
    return found


register()
