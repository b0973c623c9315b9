"""Divergence: a run ends at the first number that is not finite, and keeps what is needed to compute it again."""

import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain

import numpy as np

from kernels.finite import all_finite, first_outside
from ppo_np.config import PPOConfig
from ppo_np.distributed.ranks import Ranks
from ppo_np.environments.action_masks import MASK
from ppo_np.errors import DivergedError, EnvironmentFault
from ppo_np.learning.minibatches import MinibatchSlice
from ppo_np.learning.policy import ActingWorkspace, Policy
from ppo_np.learning.resume_point import ResumePoint
from ppo_np.learning.rollout import RolloutBuffer, RolloutReport
from ppo_np.network.minibatch import Minibatch
from ppo_np.network.tensor_trace import NotFiniteError, Stage, learning_stages, state_stages
from ppo_np.saving.crash_file import ENVIRONMENT, MINIBATCH, MINIBATCH_ARRAYS, ROLLOUT, crash_of
from ppo_np.saving.training_state import TrainingState

FLOAT_MAX = sys.float_info.max
STATISTICS = {"obs": "observations", "reward": "rewards"}
LARGEST_NORM = 1e18  # its square must fit float32


class DivergenceCheck:
    """Checks the numbers of a run; raises `DivergedError` with a `Crash`, on all ranks at the same time."""

    def __init__(
        self, state: TrainingState, policy: Policy, buffer: RolloutBuffer, resume_point: ResumePoint, ranks: Ranks
    ):
        self._state, self._policy, self._buffer, self._ranks = state, policy, buffer, ranks
        self._resume_point = resume_point

    def check_state(self, config: PPOConfig, where: str) -> None:
        """Check parameters, optimiser and running statistics, before they are saved.

        Raises:
            DivergedError: One of them is not finite.
        """
        state = self._state
        flats, statistics = state.flats(), state.normalizer_arrays()
        if all(map(all_finite, (state.model.params, *flats.values(), *statistics.values()))):
            return
        self._resume_point.exists = False
        names = [name.split("/") for name in statistics]  # such as obs/mean
        titles = [f"{name} of the {STATISTICS[part]}" for part, name in names]
        stages = chain(state_stages(state.model, flats), map(Stage, titles, statistics.values()))
        raise self._diverged(config, where, NotFiniteError(stages), ROLLOUT, {}, "it was not saved")

    @contextmanager
    def acting(self, config: PPOConfig, report: RolloutReport, workspace: ActingWorkspace) -> Iterator[None]:
        """A context for a rollout: raises DivergedError if the network computes a number that is not finite."""
        try:
            yield
        except NotFiniteError as error:
            arrays = {"obs": workspace.inputs, "actions": workspace.activations.distribution.actions}
            if (masks := self._buffer.action_masks) is not None:
                arrays[MASK] = masks[min(report.filled, len(masks) - 1)]
            where = f"row {report.filled + 1} of the rollout"
            raise self._diverged(config, where, error, ROLLOUT, arrays) from None

    @contextmanager
    def environments(self, config: PPOConfig) -> Iterator[None]:
        """A context that adds a `Crash` to a fault of the environments if numbers are not finite."""
        try:
            yield
        except EnvironmentFault as fault:
            if fault.numbers:
                fault.crash = crash_of(self._state, config, str(fault), ENVIRONMENT, fault.numbers)
            raise

    def check_minibatch(
        self, part: MinibatchSlice, minibatch: Minibatch, loss_terms: np.ndarray, grad_norm: float, config: PPOConfig
    ) -> None:
        """Check everything that a step of the optimiser depends on, before the step.

        These are the loss terms, the gradient by its norm, and numbers that may not affect either: numbers of the
        rollout because of max() and clipping, parameters because of saturated units. An infinite ratio may not affect
        the loss, but it affects approx_kl.

        Raises:
            DivergedError: A number is not finite, or the square of the gradient is too large for float32.
        """
        finite = math.isfinite(grad_norm) and first_outside(loss_terms, FLOAT_MAX) < 0
        if not (finite and all_finite(minibatch.loss_inputs.reshape(-1)) and all_finite(self._state.model.params)):
            error = NotFiniteError(self._learning_stages(minibatch, loss_terms, config))
        elif min(grad_norm, max(config.max_grad_norm, config.max_grad_norm_value or 0)) > LARGEST_NORM:
            error = NotFiniteError(iter([Stage("square of the gradient, whose norm is too large,", np.array(np.inf))]))
        else:
            return
        raw = self._policy.model.minibatch(len(part.indices))  # before its advantages were normalised
        self._buffer.gather(part.indices, self._policy, raw)
        where = f"epoch {part.epoch}, minibatch {part.number}"
        raise self._diverged(config, where, error, MINIBATCH, self._of_all_ranks(raw))

    def _learning_stages(self, minibatch: Minibatch, loss_terms: np.ndarray, config: PPOConfig) -> Iterator[Stage]:
        """The computation of a minibatch, repeated in one piece with the rows of all ranks."""
        model = self._state.model
        whole, activations = model.minibatch(minibatch.total), model.activations(minibatch.total)
        for name, array in self._of_all_ranks(minibatch).items():
            getattr(whole, name)[:] = array
        model.loss_and_gradient(whole, activations, config)
        activations.loss_terms[:] = loss_terms
        return learning_stages(model, whole, activations)

    def _of_all_ranks(self, minibatch: Minibatch) -> dict[str, np.ndarray]:
        """The arrays that `MINIBATCH_ARRAYS` names, and the action mask, with the rows of all ranks."""
        names = MINIBATCH_ARRAYS if minibatch.action_mask is None else (*MINIBATCH_ARRAYS, MASK)
        own = {name: getattr(minibatch, name) for name in names}
        parts = self._ranks.allgather(own)
        return {name: np.concatenate([part[name] for part in parts]) for name in own}

    def _diverged(
        self, config: PPOConfig, where: str, error: NotFiniteError, during: str, arrays: Mapping[str, np.ndarray],
        end: str = "the parameters were not changed by it",
    ) -> DivergedError:  # fmt: skip
        """The exception that ends a run."""
        found = f"{error.finding} where everything before it was finite" if error.finding else "a number is not finite"
        diverged = DivergedError(f"In update {self._state.update + 1}, {where}, {found}; {end}.")
        diverged.crash = crash_of(self._state, config, str(diverged), during, arrays)
        return diverged
