"""How the learner's `collect` replaces that of the package: it gets environments and a policy that act as if alone."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from ppo_np.course.training.calls import Array, FunctionFault, called
from ppo_np.environments.stream import LARGEST, EnvStream
from ppo_np.learning.policy import Policy
from ppo_np.learning.rollout import RolloutBuffer, RolloutReport, flatten_obs

NAME = "collect"
FIELDS = ("obs", "actions", "logprobs", "values", "rewards", "terminations", "truncations", "final_values")


class CourseEnvs:
    """N environments in Gymnasium's mode SAME_STEP, with flat observations; they can only be stepped.

    Attributes:
        num_envs: N.
        report: what happened so far.
        acting: the policy, which is told that a step is done.
    """

    def __init__(self, stream: EnvStream, policy: Policy, rng: np.random.Generator):
        self.num_envs = stream.envs.num_envs
        self.report = RolloutReport()
        self.acting = Acting(policy, self.num_envs, rng)
        self._stream, self._policy = stream, policy
        self.acting.remember(self.obs(), present=True)

    def obs(self) -> Array:
        """The present observations, (N, D)."""
        flat_obs = np.zeros((self.num_envs, self._policy.observations.size), self._policy.obs_dtype)
        flatten_obs(self._stream, self._policy, flat_obs)
        return flat_obs

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """One step, (N,) actions; returns obs, rewards, terminations, truncations, infos, as Gymnasium does."""
        start = perf_counter()
        transition = self._stream.step(self._policy.actions.to_env(np.asarray(actions)))
        self.report.time_env += perf_counter() - start
        self.acting.stepped()
        self.report.episodes += transition.episodes
        self.report.ends += [self.report.filled] * len(transition.episodes)
        self.report.filled += 1
        infos = {}
        rewards, terminations, truncations = (array.copy() for array in transition[:3])
        obs = self.obs()
        self.acting.remember(obs, present=True)
        if transition.final:
            infos = {"final_obs": transition.final.obs, "_final_obs": terminations | truncations}
            final_obs = np.zeros_like(obs)
            for n in np.flatnonzero(truncations & ~terminations):
                final_obs[n] = transition.final.obs[n]
            self.acting.remember(final_obs)
        return obs, rewards, terminations, truncations, infos


class Acting:
    """The function `act` of the course. Before each step, the same random numbers are used, however often it is called.

    So it can also be asked for the values of final observations, one by one or together. The unit of the rounding
    depends on the largest number of a whole array. So rows that the package runs through the network together are run
    together here, however few of them are asked for.
    """

    def __init__(self, policy: Policy, rows: int, rng: np.random.Generator):
        self._policy, self._rng = policy, rng
        self._workspace = policy.workspace(rows)
        self._before = self._after = rng.bit_generator.state
        self._present = np.zeros(0)
        self._together: dict[bytes, Array] = {}  # what is run together, by its own bytes
        self._places: dict[bytes, tuple[Array, int]] = {}  # what is run together with a row, and where the row is in it

    def remember(self, obs: Array, present: bool = False) -> None:
        """Note observations, (N, D), that the package runs together: the present ones, or the final ones that count."""
        rows = obs.copy()
        self._present = rows if present else self._present
        self._together[rows.tobytes()] = rows
        self._places |= {row.tobytes(): (rows, n) for n, row in enumerate(rows)}

    def __call__(self, obs: Array) -> tuple[Array, Array, Array]:
        """Actions, their log-probabilities and the values of observations, (B, D)."""
        asked = np.array(obs, self._present.dtype)
        together = self._together.get(asked.tobytes())
        if together is not None:
            return self._run(together)
        actions, logprobs, values = (np.stack(column) for column in zip(*map(self._of_row, asked), strict=True))
        return actions, logprobs, values

    def _of_row(self, row: Array) -> tuple[Array, ...]:
        """The results of one observation, (D,); one that has never been shown is run with zeros."""
        unknown = np.zeros_like(self._present)
        unknown[0] = row
        rows, n = self._places.get(row.tobytes(), (unknown, 0))
        return tuple(array[n] for array in self._run(rows))

    def _run(self, rows: Array) -> tuple[Array, Array, Array]:
        """Run N rows; the random numbers of this step are used up with the present observations only."""
        activations = self._workspace.activations
        self._policy.model.act(np.array(rows, self._policy.model.dtype), LARGEST, activations)
        self._rng.bit_generator.state = self._before
        activations.distribution.sample(activations.policy_outputs, self._rng)
        if rows is self._present:
            self._after = self._rng.bit_generator.state
        arrays = activations.distribution.actions, activations.distribution.logprobs, activations.values
        actions, logprobs, values = (array.copy() for array in arrays)
        return actions, logprobs, values

    def stepped(self) -> None:
        """The random numbers of this step are used up."""
        self._before = self._after

    def finish(self) -> None:
        """Leave the generator as the package leaves it."""
        self._rng.bit_generator.state = self._before


def collect_with(
    function: Callable[..., Any], stream: EnvStream, policy: Policy, buffer: RolloutBuffer,
    rng: np.random.Generator, stopped: Callable[[], bool], *_unused: Any,
) -> RolloutReport:  # fmt: skip
    """As `ppo_np.learning.rollout.collect`, by the learner's function, which cannot be stopped between two steps.

    The other arguments of `collect` are not used: no rollout is ever unfinished.

    Raises FunctionFault if the function returns a wrong shape, makes another number of steps or loses the observations.
    """
    start_time, steps = perf_counter(), len(buffer.rewards)
    if stopped():
        return RolloutReport().finish(buffer, start_time)
    envs = CourseEnvs(stream, policy, rng)
    result = called(NAME, function, (envs, envs.acting, envs.obs(), steps))
    envs.acting.finish()
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], dict)):
        raise FunctionFault(NAME, "must return a dict of arrays and the next observations")
    if envs.report.filled != steps:
        raise FunctionFault(NAME, f"stepped the environments {envs.report.filled} times instead of {steps}")
    _store(result[0], buffer)
    if not np.array_equal(result[1], envs.obs()):
        raise FunctionFault(NAME, "returned other next observations than the environments show now")
    return envs.report.finish(buffer, start_time)


def rollout_arrays(buffer: RolloutBuffer) -> list[Array]:
    """Copies of the `FIELDS` of a rollout; final values only where an episode was truncated, elsewhere 0."""
    arrays = [getattr(buffer, name).copy() for name in FIELDS]
    arrays[-1][~buffer.truncations | buffer.terminations] = 0
    return arrays


def _store(rollout: dict[str, Any], buffer: RolloutBuffer) -> None:
    """Write the arrays of the dict into those of the buffer."""
    buffer.valid[:] = True
    for name in FIELDS:
        if name not in rollout:
            raise FunctionFault(NAME, f"returned no {name}")
        given, place = np.asarray(rollout[name]), getattr(buffer, name)
        if given.shape != place.shape:
            raise FunctionFault(NAME, f"returned {name} of shape {given.shape}, but it must be {place.shape}")
        place[...] = given
