"""What environments show before a step, as one object for rollout, recorder and checkpoint."""

from typing import Any, NamedTuple

import numpy as np


class Observed(NamedTuple):
    """What N environments show before a step."""

    obs: Any  # batched as a vector environment returns them, or flat, (N, D)
    action_mask: np.ndarray | None = None  # (N, K) int8, 1 where an action is valid; None if all are
