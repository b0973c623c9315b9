"""A vector environment as one continuous stream of transitions, in both modes of autoreset."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from kernels.acting import count_step
from kernels.finite import first_outside
from ppo_np.environments.action_masks import MASK, MaskReader
from ppo_np.environments.asking import ask_each, check_askable
from ppo_np.environments.attribute_changes import CALL, SET, AttributeChanges
from ppo_np.environments.compiled_envs import CompiledVectorEnv
from ppo_np.environments.env_recorder import EnvRecord, EnvRecorder, Mark, StateRecorder
from ppo_np.environments.final_infos import final_infos
from ppo_np.environments.guard import Guard, describe
from ppo_np.environments.observed import Observed
from ppo_np.environments.serial import SerialEnvs
from ppo_np.environments.transition import LARGEST, Episode, Transition, final_obs_of
from ppo_np.environments.watchdog import Watchdog
from ppo_np.environments.workers import WorkerEnvs
from ppo_np.errors import EnvironmentFault, UserError

Result = TypeVar("Result")


class EnvStream:
    """A vector environment that is reset once; each rollout continues where the last one ended.

    The two modes of autoreset (Gymnasium's AutoresetMode):
        SAME_STEP   the step that ends an episode returns the first observation of the next episode, and the final
                    observation in `infos["final_obs"]`.
        NEXT_STEP   the step that ends an episode returns the final observation, and the next step is a reset row.

    Args:
        envs: the vector environment; `reset` or `restore` must be called before the first step.
        timeout: seconds for a call of the environments; inf means no limit.
        first: index of the first environment among the environments of all ranks.
        action_mask: the setting of that name; empty if there are no masks.
        info_keys: the setting of that name.
        records: whether actions are recorded, by which environments can be restored.

    Attributes:
        observed: what the N environments show now.
        next_step: whether the mode is NEXT_STEP.
        checked: whether the environments check types and shapes of their results themselves.
        steps: number of steps of each environment, with reset rows.
        guests: other environments in this process that `watched` also watches.

    Raises UserError if the autoreset mode is neither SAME_STEP nor NEXT_STEP, or if the masks are to come from a method
    of environments that are not made here.
    """

    def __init__(
        self, envs: VectorEnv, timeout: float = np.inf, first: int = 0, action_mask: str = "",
        info_keys: Sequence[str] = (), records: bool = True,
    ):  # fmt: skip
        mode = envs.metadata.get("autoreset_mode")
        if mode not in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP):
            allowed = "AutoresetMode.SAME_STEP or AutoresetMode.NEXT_STEP"
            raise UserError(f"autoreset_mode of the vector environment is {mode}, but it must be {allowed}.")
        self.envs = envs
        self.next_step = mode == AutoresetMode.NEXT_STEP
        self.checked = isinstance(envs, SerialEnvs | CompiledVectorEnv)
        self.steps = 0
        self.guests: list[Guard] = []
        self._timeout = timeout
        self._info_keys = info_keys
        self._first = first
        self._records = records
        self._recorder = StateRecorder(envs) if isinstance(envs, CompiledVectorEnv) else EnvRecorder(envs, first)
        self._masks = MaskReader(action_mask, envs.single_action_space) if action_mask else None
        self._guarded = self._recorder.can_restore  # their masks are checked and have the name `MASK`
        if self._masks and not self._masks.in_infos and not self._guarded:
            what = f"action_mask is {action_mask!r}, but a VectorEnv of your own must give masks in its infos"
            raise UserError(f"{what}: info:NAME.")
        self._calls = 0
        self._busy = self._broken = False
        self._resetting: np.ndarray | None = None  # (N,) bool, which environments the next step resets; None if none
        self._all_valid = np.ones(envs.num_envs, bool)
        self._returns = np.zeros(envs.num_envs)
        self._lengths = np.zeros(envs.num_envs, np.int64)
        self._dones = np.zeros(envs.num_envs, bool)

    def reset(self, seed: int) -> "EnvStream":
        """Reset environment i, counted over all ranks, with seed + i; raises EnvironmentFault if that fails."""
        with self.watched(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="EnvPool seeds are fixed")  # `make_vector_env` has set the seed
            obs, infos = self._call(self.envs.reset, seed=seed + self._first)
        self.observed = Observed(obs, self._action_mask(infos, self._all_valid))
        return self

    def _action_mask(self, infos: Any, needed: np.ndarray) -> np.ndarray | None:
        """The action masks, (N, K), where `needed`, (N,) bool, and 1 elsewhere; None without masks."""
        if self._masks is None:
            return None
        if not self._guarded:
            return self._call(self._masks.of_infos, infos, needed, self._first)
        if needed.all():
            return infos[MASK]
        masks = np.ones((len(needed), self._masks.width), np.int8)
        if needed.any():
            masks[needed] = infos[MASK][needed]
        return masks

    def ask(self, what: str, name: str, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None) -> list[Any]:
        """Get (`GET`) or set (`SET`) an attribute of all environments, or call (`CALL`) a method; see `PPO.set_attr`.

        Returns the result of each environment. Raises UserError if they have no such attribute, or cannot be asked;
        EnvironmentFault if one of them raised an exception.
        """
        check_askable(self.envs, name)
        answers = self._call(ask_each, self.envs, self._guarded, what, name, tuple(args), kwargs or {})
        for n, (_, missing, reason) in enumerate(answers, self._first):
            if missing:
                raise UserError(f"name is {name!r}, but environment {n} has no such attribute.")
            if reason:
                raise self.fault(f"environment {n} raised {reason} in {name}")
        if what == SET:
            self._recorder.changes.set(self.steps, name, args[0])
        elif what == CALL:
            self._recorder.changes.call(name)
        return [answer.result for answer in answers]

    def mark(self, observed: Observed) -> Mark:
        """Note the present state; `observed` has flat observations, (N, D). Raises EnvironmentFault as `step`."""
        return self._call(self._recorder.mark, observed, self._returns, self._lengths, self.steps)

    def record(self, mark: Mark) -> EnvRecord:
        """All that is needed to restore the environments at the latest mark, even if they have failed since then."""
        return self._recorder.record(mark)

    def restore(self, record: EnvRecord, seed: int, flatten: Callable[[Any, np.ndarray], None]) -> np.ndarray:
        """Restore the environments of a record, instead of `reset`.

        Args:
            record: of N environments.
            seed: for environments that cannot be restored at all: then all are reset with it.
            flatten: writes one observation into an array, (D,).

        Returns which environments are restored, (N,) bool; the others begin another episode. Raises EnvironmentFault
        if a reset fails.
        """
        self.steps = int(record.steps)
        if not self._recorder.can_restore:
            for name, value in AttributeChanges.unpacked(record.changes).latest().items():
                self.ask(SET, name, (value,))
            self.reset(seed)
            return np.zeros(self.envs.num_envs, bool)
        try:
            self.observed, same = self._recorder.restore(record, flatten, self._timeout)
        except EnvironmentFault as fault:
            raise self.fault(fault) from fault.__cause__
        self._returns[:] = np.where(same, record.returns, 0)
        self._lengths[:] = np.where(same, record.lengths, 0)
        return same

    def watched(self) -> Watchdog:
        """A context in which environments of this process that hang raise `EnvironmentFault`."""
        return Watchdog(self._timeout, self._present_call, self._running_environment)

    def _present_call(self) -> object:
        """A value that is different for each call of the environments; None if they are idle."""
        if self._busy:
            return self._calls
        return next(((guest, guest.calls) for guest in self.guests if guest.busy), None)

    def _running_environment(self) -> str:
        envs = (*self.guests, *getattr(self.envs, "envs", ()))
        running = (f"environment {env.index}" for env in envs if isinstance(env, Guard) and env.busy)
        in_worker = self.envs.unanswered() if self._busy and isinstance(self.envs, WorkerEnvs) else ""
        return next(running, in_worker or "the vector environment")

    def _call(self, function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """Call the environments; every exception becomes an `EnvironmentFault` with the step."""
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
        """An exception about the present step (1, 2, ...; 0 is the first reset). The environments become unusable."""
        self._broken = True  # they may have done different numbers of steps
        fault = EnvironmentFault(f"In step {self.steps}, {what}.")
        fault.numbers = numbers
        return fault

    def step(self, actions: np.ndarray) -> Transition:
        """Do one action in each environment, (N, ...).

        Raises EnvironmentFault if an environment fails or has failed before, or a reward is not finite and up to 1e15.
        """
        self._check_usable()
        if self._records:
            self._recorder.add(actions)
        self.steps += 1
        obs, rewards, terminations, truncations, infos = self._call(self._step, actions)
        self.observed = Observed(obs)
        valid = self._all_valid
        if self._resetting is not None:
            valid = ~self._resetting
            rewards, terminations, truncations = np.where(valid, rewards, 0), terminations & valid, truncations & valid
        dones = self._dones
        ended = count_step(rewards, valid, terminations, truncations, LARGEST, self._returns, self._lengths, dones)
        if ended < 0:
            raise self._reward_fault(rewards)
        last_infos = final_infos(infos, self._info_keys, dones, self.next_step) if ended else []
        episodes = self._ended_episodes() if ended else []
        final = None
        if episodes and not self.next_step:
            final_obs = final_obs_of(infos)
            if final_obs is None:
                raise self.fault("the vector environment gave no final_obs, but the mode SAME_STEP needs it")
            final = Observed(final_obs)
        self._resetting = dones.copy() if episodes and self.next_step else None
        if self._masks:
            # In the mode NEXT_STEP, the next step of an environment that is done ignores the action.
            needed = self._all_valid if self._resetting is None else ~self._resetting
            self.observed = Observed(obs, self._action_mask(infos, needed))
        return Transition(rewards, terminations, truncations, valid, final, episodes, last_infos)

    def _check_usable(self) -> None:
        if self._broken:
            raise EnvironmentFault("The environments have failed before: make new ones.")

    def _reward_fault(self, rewards: np.ndarray) -> EnvironmentFault:
        n = first_outside(rewards, LARGEST)
        what = f"environment {self._first + n} gave the reward {rewards[n]}"
        return self.fault(f"{what}, but it must be a finite number up to {LARGEST:g}", {"rewards": rewards})

    def _ended_episodes(self) -> list[Episode]:
        """The episodes that have just ended; those that follow are counted from 0."""
        dones = self._dones
        episodes = [Episode(float(self._returns[n]), int(self._lengths[n])) for n in np.flatnonzero(dones)]
        self._returns[dones] = 0
        self._lengths[dones] = 0
        return episodes

    def _step(self, actions: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, Any]:
        """The environments' step, with results of the right types and shapes."""
        obs, rewards, terminations, truncations, infos = self.envs.step(actions)
        if self.checked:
            return obs, rewards, terminations, truncations, infos
        rewards = np.asarray(rewards, np.float64)
        terminations, truncations = np.asarray(terminations, bool), np.asarray(truncations, bool)
        n = len(self._all_valid)
        for name, given in (("rewards", rewards), ("terminations", terminations), ("truncations", truncations)):
            if given.shape != (n,):
                what = f"{name} of shape {given.shape}, but it must be {(n,)}"
                raise EnvironmentFault(f"the vector environment gave {what}")
        return obs, rewards, terminations, truncations, infos

    def check_obs(self, flat_obs: np.ndarray) -> None:
        """Raise EnvironmentFault unless all flat observations, (N, D), are finite numbers up to 1e15."""
        index = -1 if flat_obs.dtype == np.uint8 else first_outside(flat_obs.reshape(-1), LARGEST)
        if index >= 0:
            n, i = divmod(index, flat_obs.shape[1])
            what = f"environment {self._first + n} gave an observation whose number {i} is {flat_obs[n, i]}"
            allowed = f"a finite number up to {LARGEST:g}, in its space"
            raise self.fault(f"{what}, but it must be {allowed}", {"obs": flat_obs})
