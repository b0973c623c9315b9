"""Environments that follow a script of episodes, and every way to vectorise and to reset them.

A script is a sequence of (length, end), repeated for ever: the length of an episode in steps, and how it ends: "T" by
termination, "t" by truncation, "Tt" by both at once. A vector environment has one script for each environment.
"""

from functools import partial

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import batch_space

from ppo_np.environments.workers import WorkerEnvs

FIRST_ACTION = 5
OBS_SPACE = spaces.Box(-np.inf, np.inf, (3,), np.float32)
ACTION_SPACE = spaces.Discrete(3, start=FIRST_ACTION)
MODES = {"same": AutoresetMode.SAME_STEP, "next": AutoresetMode.NEXT_STEP}


def reward_of(episode, step, choice):
    """Reward of the step that leaves (episode, step), for the choice 0, 1 or 2; exact in float32."""
    return 0.5 * episode - 0.25 * step + 2 * choice + 1


class Scripted(gymnasium.Env):
    """Observation (index, episode, step); `sent` holds the actions that arrived."""

    metadata = {"render_modes": []}
    observation_space, action_space = OBS_SPACE, ACTION_SPACE

    def __init__(self, script, index, reward=reward_of):
        self.script, self.index, self.reward = script, index, reward
        self.episode, self.count, self.sent = -1, 0, []

    def _obs(self):
        return np.array([self.index, self.episode, self.count], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.count = self.episode + 1, 0
        return self._obs(), {}

    def step(self, action):
        length, end = self.script[self.episode % len(self.script)]
        assert self.count < length, "stepped after the end of its episode"
        self.sent.append(int(action))
        reward = self.reward(self.episode, self.count, int(action) - FIRST_ACTION)
        self.count += 1
        done = self.count == length
        return self._obs(), reward, done and "T" in end, done and "t" in end, {}


class Reusing(Scripted):
    """The same, but for its observation, which is one array that is overwritten in each step and each reset."""

    def __init__(self, script, index):
        super().__init__(script, index)
        self.array = np.zeros(3, np.float32)

    def _obs(self):
        self.array[:] = super()._obs()
        return self.array


class ScriptedVector(VectorEnv):
    """The same in NumPy, all environments at once, and as unpleasant as the interface allows.

    It hands out the same arrays again and again, and a reset row has the reward NaN.
    """

    def __init__(self, scripts, autoreset_mode, reward=reward_of):
        self.num_envs = len(scripts)
        self.metadata = {"autoreset_mode": autoreset_mode}
        self.single_observation_space, self.single_action_space = OBS_SPACE, ACTION_SPACE
        self.observation_space = batch_space(OBS_SPACE, self.num_envs)
        self.action_space = batch_space(ACTION_SPACE, self.num_envs)
        self.scripts, self.reward = scripts, reward
        self.same_step = autoreset_mode == AutoresetMode.SAME_STEP
        self.sent = [[] for _ in scripts]
        self.obs = np.zeros((self.num_envs, 3), np.float32)
        self.obs[:, 0] = np.arange(self.num_envs)
        self.rewards = np.zeros(self.num_envs)
        self.terminations, self.truncations, self.ended = np.zeros((3, self.num_envs), bool)

    def reset(self, *, seed=None, options=None):
        self.obs[:, 1:] = 0
        self._follow_scripts()
        return self.obs, {}

    def _follow_scripts(self):
        """What the present episodes' scripts say."""
        episodes = [script[int(e) % len(script)] for script, e in zip(self.scripts, self.obs[:, 1], strict=True)]
        self.lengths = np.array([length for length, _ in episodes])
        self.terminate, self.truncate = (np.array([word in end for _, end in episodes]) for word in "Tt")

    def _begin_episodes(self, where):
        self.obs[where] += [0, 1, 0]
        self.obs[where, 2] = 0
        self._follow_scripts()

    def step(self, actions):
        stepped = ~self.ended
        for n in np.flatnonzero(stepped):
            self.sent[n].append(int(actions[n]))
        self.rewards[:] = self.reward(self.obs[:, 1], self.obs[:, 2], actions - FIRST_ACTION)
        self.rewards[~stepped] = np.nan
        self.obs[stepped, 2] += 1
        self._begin_episodes(~stepped)
        dones = stepped & (self.obs[:, 2] == self.lengths)
        self.terminations[:], self.truncations[:] = dones & self.terminate, dones & self.truncate
        infos = {}
        if self.same_step and dones.any():
            infos = {"final_obs": np.full(self.num_envs, None, object), "_final_obs": dones}
            for n in np.flatnonzero(dones):
                infos["final_obs"][n] = self.obs[n].copy()
            self._begin_episodes(dones)
        else:
            self.ended = dones
        return self.obs, self.rewards, self.terminations, self.truncations, infos


def make(way, scripts, reward=reward_of):
    """The vector environment for a name such as "sync-next"."""
    kind, mode = way.split("-")
    factories = [partial(Scripted, script, index, reward) for index, script in enumerate(scripts)]
    if kind == "sync":
        return SyncVectorEnv(factories, copy=False, autoreset_mode=MODES[mode])
    if kind == "workers":
        return WorkerEnvs(factories, timeout=60, autoreset_mode=MODES[mode])
    if kind == "async":
        return AsyncVectorEnv(factories, autoreset_mode=MODES[mode])
    return ScriptedVector(scripts, MODES[mode], reward)


def sent_to(envs):
    """The actions that reached each environment, in order."""
    return envs.sent if hasattr(envs, "sent") else list(envs.get_attr("sent"))


IN_PROCESS = ("sync-same", "sync-next", "native-same", "native-next")
IN_WORKERS = ("workers-same", "workers-next")
EVERY_WAY = (*IN_PROCESS, *IN_WORKERS, "async-same", "async-next")

# For rollouts of 5 steps. With reset rows, an episode of 4 steps fills a rollout together with its reset row.
LENGTHS = {
    "every row": ((1,), (1,), (1,)),
    "last row": ((5,), (10,), (5,)),
    "reset row last": ((4,), (4,), (9,)),
    "two in a row": ((1, 1, 3), (3, 1, 1), (2, 1, 1, 1)),
    "not aligned": ((2,), (3,), (7,)),
    "long": ((1000,), (12,), (1000,)),
    "one environment": ((2, 1, 3),),
}
ENDS = {"termination": ("T",), "truncation": ("t",), "both at once": ("Tt",), "mixed": ("T", "t", "Tt", "t", "T")}


def scripts_of(lengths, ends):
    """A script for each environment; they begin at different places of `ends`."""
    scripts = []
    for n, own in enumerate(LENGTHS[lengths]):
        count = len(own) * len(ENDS[ends])
        scripts.append(tuple((own[e % len(own)], ENDS[ends][(e + n) % len(ENDS[ends])]) for e in range(count)))
    return tuple(scripts)
