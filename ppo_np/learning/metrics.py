"""The metrics of an update: one row of metrics.csv."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from kernels.loss import LOSS_TERMS
from ppo_np.learning.rollout import RolloutReport

LOSS_NAMES = LOSS_TERMS[1:]
APPROX_KL = LOSS_TERMS.index("approx_kl")


class MinibatchLosses:
    """The loss terms and the gradient norms of an update's minibatches."""

    def __init__(self) -> None:
        self._loss_terms: list[np.ndarray] = []
        self._grad_norms: list[float] = []

    def add(self, loss_terms: np.ndarray, grad_norm: float) -> None:
        """Add the loss terms of a minibatch, (6,), and its gradient norm before clipping."""
        self._loss_terms.append(loss_terms)
        self._grad_norms.append(grad_norm)

    def approx_kl(self, minibatches: int) -> float:
        """Mean approx_kl of the last `minibatches` minibatches; 0 if that is 0."""
        return float(np.mean([terms[APPROX_KL] for terms in self._loss_terms[-minibatches:]])) if minibatches else 0.0

    def means(self) -> dict[str, float]:
        """Means over all minibatches by name; NaN if there were none."""
        means = np.mean(self._loss_terms, axis=0) if self._loss_terms else np.full(len(LOSS_TERMS), np.nan)
        norm = np.mean(self._grad_norms) if self._grad_norms else np.nan
        return dict(zip(LOSS_TERMS, means, strict=True), grad_norm=norm)


@dataclass(frozen=True)
class Metrics:
    """One row of metrics.csv: everything that is known after an update. NaN becomes an empty cell."""

    update: int  # finished updates
    step: int  # environment steps done, over all environments
    wall_time: float  # seconds since the start of training
    SPS: float  # environment steps per second in this update
    episodes: int  # episodes that ended in this update
    episodic_return: float  # mean return of those episodes; NaN if none ended
    episodic_length: float  # mean length of those episodes in steps; NaN if none ended
    policy_loss: float  # clipped surrogate loss; this and the next four are means over all minibatches of all epochs
    value_loss: float  # value loss, with the factor 1/2, before vf_coef
    entropy: float  # entropy of the policy in nats
    approx_kl: float  # estimate of KL(old policy, new policy): mean of (ratio - 1) - log ratio
    clipfrac: float  # share of rows whose ratio left the clip range
    explained_variance: float  # 1 - Var(returns - values) / Var(returns) of the rollout
    grad_norm: float  # global norm of the gradient before clipping, mean over the minibatches
    learning_rate: float  # learning rate of this update
    time_env: float  # seconds of this update spent in the environments; in resets only, if a kernel does the steps
    time_inference: float  # seconds of this update spent choosing actions, and in steps that a kernel does with them
    time_update: float  # seconds of this update spent in advantages, epochs and Adam
    environments_reset: int = 0  # environments that could not be restored when the run was resumed

    @classmethod
    def of_update(
        cls, *, update: int, step: int, environments_reset: int = 0, rollout: RolloutReport,
        losses: Mapping[str, float], time_update: float, **others: float,
    ) -> "Metrics":  # fmt: skip
        """The row of an update, from the report of the rollout, the means of the losses, and the other fields."""
        returns, lengths = zip(*rollout.episodes, strict=True) if rollout.episodes else ((), ())
        return cls(
            update=update,
            step=step,
            SPS=rollout.steps / (rollout.time + time_update),
            episodes=len(returns),
            episodic_return=float(np.mean(returns)) if returns else math.nan,
            episodic_length=float(np.mean(lengths)) if lengths else math.nan,
            time_env=rollout.time_env,
            time_inference=rollout.time_inference,
            time_update=time_update,
            environments_reset=environments_reset,
            **{name: float(losses[name]) for name in (*LOSS_NAMES, "grad_norm")},
            **others,
        )


METRICS_COLUMNS = tuple(field.name for field in fields(Metrics))
