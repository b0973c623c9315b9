"""A vector environment as one endless stream of transitions, whichever way it resets its environments."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from kernels.acting import count_step
from kernels.finite import first_outside
from ppo_np.environments.env_recorder import EnvRecord, EnvRecorder, Mark
from ppo_np.environments.guard import Guard, describe
from ppo_np.environments.observed import Observed
from ppo_np.environments.serial import SerialEnvs
from ppo_np.environments.watchdog import Watchdog
from ppo_np.errors import EnvironmentFault, UserError

# Squares of observations and of returns, and sums of them, must fit float32.
LARGEST = 1e15


class Episode(NamedTuple):
    """A finished episode: the sum of its rewards and the number of its steps."""

    episodic_return: float
    episodic_length: int


class Transition(NamedTuple):
    """What one step of N environments gave.

    Attributes:
        rewards: (N,) floats, 0 in reset rows. terminations, truncations: (N,) bool.
        valid: (N,) bool, False in reset rows: there the action was ignored and the environment only reset.
        final: the last observation of each episode that ended, (N,) objects, if environments reset in the same step
            and one did; else None.
        episodes: those that ended.
    """

    rewards: np.ndarray
    terminations: np.ndarray
    truncations: np.ndarray
    valid: np.ndarray
    final: Observed | None
    episodes: list[Episode]


class EnvStream:
    """A vector environment that is reset once; each rollout goes on where the last one ended.

    The two ways of autoreset (Gymnasium's AutoresetMode):
        SAME_STEP   the step that ends an episode returns the next one's first observation; the final observation comes
                    in `infos["final_obs"]`.
        NEXT_STEP   the step that ends an episode returns the final observation; the next one is a reset row.

    Args:
        envs: the vector environment; `reset` or `restore` must come before the first step.
        timeout: seconds that a call of the environments may take; inf waits for ever.
        first: number of the first one among the environments of all ranks.

    Attributes:
        observed: what the N environments show now, until the next step.
        next_step: whether the mode is NEXT_STEP.
        checked: whether types and shapes are those of the spaces: our environments have looked themselves.
        steps: steps done, of each environment, reset rows included.
        guests: other environments of this process that `watched` watches as well.

    Raises:
        UserError: Environments are not reset automatically, or not in a known way.
    """

    def __init__(self, envs: VectorEnv, timeout: float = np.inf, first: int = 0):
        mode = envs.metadata.get("autoreset_mode")
        if mode not in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP):
            raise UserError(
                f"autoreset_mode of the vector environment is {mode}, but it must be AutoresetMode.SAME_STEP or "
                "AutoresetMode.NEXT_STEP."
            )
        self.envs = envs
        self.next_step = mode == AutoresetMode.NEXT_STEP
        self.steps = 0
        self._timeout = timeout
        self._calls, self._busy, self._broken = 0, False, False
        self.guests: list[Guard] = []
        self._ended = None  # which episodes the last step ended, (N,), if any and if their resets are yet to come
        self._all_valid = np.ones(envs.num_envs, bool)
        self._returns = np.zeros(envs.num_envs)
        self._lengths = np.zeros(envs.num_envs, np.int64)
        self._dones = np.zeros(envs.num_envs, bool)
        self.checked = isinstance(envs, SerialEnvs)
        self._first = first
        self._recorder = EnvRecorder(envs, first)

    def reset(self, seed: int) -> "EnvStream":
        """Reset environment i with seed + i, counted over all ranks.

        Raises:
            EnvironmentFault: That failed.
        """
        with self.watched(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="EnvPool seeds are fixed")  # `make_vector_env` has given the seed
            obs, _ = self._call(self.envs.reset, seed=seed + self._first)
        self.observed = Observed(obs)
        return self

    def mark(self, observed: Observed) -> Mark:
        """Note where the environments stand; `observed` is what they show, with flat observations, (N, D).

        Raises:
            EnvironmentFault: A worker has died.
        """
        return self._call(self._recorder.mark, observed, self._returns, self._lengths, self.steps)

    def record(self, mark: Mark) -> EnvRecord:
        """What brings the environments back to the latest mark, also after they have failed."""
        return self._recorder.record(mark)

    def restore(self, record: EnvRecord, seed: int, flatten: Callable[[Any, np.ndarray], None]) -> np.ndarray:
        """Begin where the environments of a record stood, instead of `reset`.

        Args:
            record: of as many environments.
            seed: for environments that cannot be reset one by one; all of them begin with this one then.
            flatten: writes an observation into a row, (D,).

        Returns:
            (N,) bool: which of them stand there. The others begin another episode.

        Raises:
            EnvironmentFault: A reset failed.
        """
        self.steps = int(record.steps)
        if not self._recorder.can_restore:
            self.reset(seed)
            return np.zeros(self.envs.num_envs, bool)
        # Their own steps are what is timed, not the replay as a whole.
        self.guests, guests = [*self.guests, *getattr(self.envs, "envs", ())], self.guests
        try:
            with self.watched():
                self.observed, same = self._recorder.restore(record, flatten)
        except EnvironmentFault as fault:
            raise self.fault(fault) from fault.__cause__
        finally:
            self.guests = guests
        self._returns[:] = np.where(same, record.returns, 0)
        self._lengths[:] = np.where(same, record.lengths, 0)
        return same

    def watched(self) -> Watchdog:
        """A context in which environments of this process that hang raise `EnvironmentFault`."""
        return Watchdog(self._timeout, self._present_call, self._who)

    def _present_call(self) -> object:
        """What tells the environments' present call from all others; None if they are idle."""
        if self._busy:
            return self._calls
        return next(((guest, guest.calls) for guest in self.guests if guest.busy), None)

    def _who(self) -> str:
        """The environment that is at work, as far as it can be known."""
        for env in (*self.guests, *getattr(self.envs, "envs", ())):
            if isinstance(env, Guard) and env.busy:
                return f"environment {env.index}"
        return "the vector environment"

    def _call(self, function, *args, **kwargs):
        """Call the environments; whatever goes wrong there becomes one sentence with the step."""
        self._calls += 1
        self._busy = True
        try:
            return function(*args, **kwargs)
        except EnvironmentFault as fault:
            raise self.fault(fault) from fault.__cause__
        except Exception as error:
            raise self.fault(f"the vector environment raised {describe(error)}") from error
        finally:
            self._busy = False

    def fault(self, what: object, numbers: dict[str, np.ndarray] | None = None) -> EnvironmentFault:
        """The exception that says what happened in the present step (1, 2, ...; 0 is the first reset).

        After it the environments cannot be stepped any more: nobody knows how far each of them has come.
        """
        self._broken = True
        fault = EnvironmentFault(f"In step {self.steps}, {what}.")
        fault.numbers = numbers
        return fault

    def step(self, actions: np.ndarray) -> Transition:
        """Apply one action for each environment, (N, ...).

        Raises:
            EnvironmentFault: An environment failed, now or before, or a reward is not a finite number of a
                sensible size.
        """
        if self._broken:
            raise EnvironmentFault("The environments have failed before: make new ones.")
        self._recorder.add(actions)
        self.steps += 1
        obs, rewards, terminations, truncations, infos = self._call(self._step, actions)
        self.observed = Observed(obs)
        valid = self._all_valid
        if self._ended is not None:
            valid = ~self._ended
            rewards, terminations, truncations = np.where(valid, rewards, 0), terminations & valid, truncations & valid
        dones = self._dones
        ended = count_step(rewards, valid, terminations, truncations, LARGEST, self._returns, self._lengths, dones)
        if ended < 0:
            self._check_rewards(rewards)
        episodes = []
        if ended:
            episodes = [Episode(float(self._returns[n]), int(self._lengths[n])) for n in np.flatnonzero(dones)]
            self._returns[dones] = 0
            self._lengths[dones] = 0
        final = self._ended = None
        if self.next_step and episodes:
            self._ended = dones.copy()
        elif episodes:
            if infos.get("final_obs") is None:
                raise self.fault("the vector environment gave no final_obs, which the mode SAME_STEP must")
            final = Observed(infos["final_obs"])
        return Transition(rewards, terminations, truncations, valid, final, episodes)

    def _step(self, actions: np.ndarray) -> tuple:
        """As the environments' step, with arrays of the types and shapes that are relied on."""
        obs, rewards, terminations, truncations, infos = self.envs.step(actions)
        if self.checked:
            return obs, rewards, terminations, truncations, infos
        rewards = np.asarray(rewards, np.float64)
        terminations, truncations = np.asarray(terminations, bool), np.asarray(truncations, bool)
        for name, column in (("rewards", rewards), ("terminations", terminations), ("truncations", truncations)):
            if column.shape != self._all_valid.shape:
                wanted = self._all_valid.shape
                raise EnvironmentFault(
                    f"the vector environment gave {name} of shape {column.shape}, but it must be {wanted}"
                )
        if not isinstance(infos, dict):
            raise EnvironmentFault(f"the vector environment gave infos of type {type(infos).__name__}, not a dict")
        return obs, rewards, terminations, truncations, infos

    def _check_rewards(self, rewards: np.ndarray) -> None:
        n = first_outside(rewards, LARGEST)
        if n >= 0:
            who = f"environment {self._first + n}"
            what = f"{who} gave the reward {rewards[n]}, but it must be a finite number up to {LARGEST:g}"
            raise self.fault(what, {"rewards": rewards})

    def check_obs(self, flat_obs: np.ndarray) -> None:
        """Refuse flat observations, (N, D), that are not finite numbers of a sensible size.

        Raises:
            EnvironmentFault: One is not.
        """
        if flat_obs.dtype == np.uint8:
            return
        place = first_outside(flat_obs.reshape(-1), LARGEST)
        if place >= 0:
            n, i = divmod(place, flat_obs.shape[1])
            who, what = f"environment {self._first + n}", f"an observation whose number {i} is {flat_obs[n, i]}"
            raise self.fault(
                f"{who} gave {what}, but it must be a finite number up to {LARGEST:g}, in its space",
                {"obs": flat_obs},
            )
