"""The branches of the loss: in which region of the surrogate and in which branch of the value loss each row lies."""

import numpy as np

from ppo_np.config import PPOConfig
from ppo_np.network.activations import Activations
from ppo_np.network.minibatch import Minibatch

SURROGATE_REGIONS = ("A>0, r<1-e", "A>0, inside", "A>0, r>1+e: flat", "A<0, r<1-e: flat", "A<0, inside", "A<0, r>1+e")
VALUE_BRANCHES = (
    "V>Vold, inside", "V>Vold, outside", "V>Vold, outside: flat",
    "V<Vold, inside", "V<Vold, outside", "V<Vold, outside: flat",
)  # fmt: skip

Groups = dict[str, np.ndarray]  # name -> (B,) booleans


def sides(minibatch: Minibatch, activations: Activations, config: PPOConfig) -> tuple[np.ndarray, np.ndarray]:
    """For each row: ratio below (0), inside (1), above (2) its clip range; value inside (0), outside (1), and flat (2).

    The value loss is flat where the clipped value has the larger error.
    """
    e, value_e = config.clip_coef, config.value_clip
    ratio = np.exp(activations.distribution.logprobs - minibatch.old_logprobs)
    change = activations.values - minibatch.old_values
    clipped_values = minibatch.old_values + np.clip(change, -value_e, value_e)
    outside = np.abs(change) > value_e
    flat = outside & (np.abs(clipped_values - minibatch.returns) > np.abs(activations.values - minibatch.returns))
    return np.digitize(ratio, [1 - e, 1 + e]), outside + flat.astype(int)


def grouped_rows(minibatch: Minibatch, activations: Activations, config: PPOConfig) -> tuple[Groups, Groups]:
    """The rows in each of the `SURROGATE_REGIONS` and in each of the `VALUE_BRANCHES`."""
    ratio_sides, value_sides = sides(minibatch, activations, config)
    region = ratio_sides + 3 * (minibatch.advantages < 0)
    branch = value_sides + 3 * (activations.values < minibatch.old_values)
    return (
        {name: region == number for number, name in enumerate(SURROGATE_REGIONS)},
        {name: branch == number for number, name in enumerate(VALUE_BRANCHES)},
    )


def count_branches(
    minibatch: Minibatch, activations: Activations, config: PPOConfig
) -> tuple[dict[str, int], dict[str, int]]:
    """The number of rows in each of the `SURROGATE_REGIONS` and in each of the `VALUE_BRANCHES`."""
    regions, branches = grouped_rows(minibatch, activations, config)
    return (
        {name: int(rows.sum()) for name, rows in regions.items()},
        {name: int(rows.sum()) for name, rows in branches.items()},
    )
