"""Everything that learning changes, in one place: what a checkpoint and a crash file hold of a `PPO`."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ppo_np.environments.stream import Episode
from ppo_np.network.model import ActorCritic
from ppo_np.network.optimizer import Optimizer

RECENT_EPISODES = 100
COUNTERS = ("update", "global_step", "adam_step", "environments_reset")
RNGS = ("action_rng", "minibatch_rng", "predict_rng")


class HasArrays(Protocol):
    """Running statistics that are kept in named arrays."""

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name; writing into them changes the statistics."""


@dataclass(kw_only=True)
class TrainingState:
    """What learning changes.

    Attributes:
        model, optimizer: the network, whose parameters are `model.params`, and the optimiser with its state.
        normalizers: running statistics by name: "obs", "reward"; empty without normalisation.
        rngs: a random generator for each of `RNGS`.
        update: finished updates. global_step: environment steps of finished rollouts, over all environments.
        environments_reset: environments that could not be restored, since the last update.
        wall_time: seconds of training.
        recent_episodes: the last 100 finished episodes.
        adaptive_lr: the learning rate of the next update with `kl_adaptive_lr`; None without.
    """

    model: ActorCritic
    optimizer: Optimizer
    normalizers: Mapping[str, HasArrays]
    rngs: Mapping[str, np.random.Generator]
    update: int = 0
    global_step: int = 0
    environments_reset: int = 0
    wall_time: float = 0.0
    recent_episodes: deque[Episode] = field(default_factory=lambda: deque(maxlen=RECENT_EPISODES))
    adaptive_lr: float | None = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Let the optimiser of a copy or of an unpickled state work on the vectors of its model."""
        self.__dict__.update(state)
        self.optimizer.params, self.optimizer.grads = self.model.params, self.model.grads

    def flats(self) -> dict[str, np.ndarray]:
        """The optimiser's vectors by names such as adam/m, (P,) each."""
        return {f"{self.optimizer.name}/{name}": flat for name, flat in self.optimizer.arrays().items()}

    def tensors(self) -> dict[str, np.ndarray]:
        """Views of all tensors by their names in a file: parameters/policy/head/weight, adam/m/policy/head/weight."""
        flats = {"parameters": self.model.params} | self.flats()
        return {f"{group}/{name}": t for group, flat in flats.items() for name, t in self.model.named(flat).items()}

    def normalizer_arrays(self) -> dict[str, np.ndarray]:
        """The running statistics by name, such as obs/mean; empty without normalisation."""
        return {f"{part}/{name}": a for part, n in self.normalizers.items() for name, a in n.arrays().items()}

    @property
    def adam_step(self) -> int:
        """Steps that the optimiser has taken."""
        return self.optimizer.steps

    @adam_step.setter
    def adam_step(self, steps: int) -> None:
        """Set the number of steps, when a state is restored."""
        self.optimizer.steps = steps

    def rng_states(self) -> dict[str, Any]:
        """The states of the random generators, by name."""
        return {name: rng.bit_generator.state for name, rng in self.rngs.items()}
