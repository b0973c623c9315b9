"""Rows in every region of the PPO loss, for its tests."""

import itertools
from typing import NamedTuple

import numpy as np

CLIP, ENT, VF = 0.25, 0.3, 0.7
RATIOS = {"below": (0.4, 0.7), "inside": (0.8, 1.2), "above": (1.3, 2.0)}
VALUE_REGIONS = ("inside", "clipped nearer", "clipped farther")
REGIONS = list(itertools.product([-1, 1], RATIOS, VALUE_REGIONS))
ALL = len(REGIONS)


class Rows(NamedTuple):
    """The arrays of a minibatch, (B,) each, in the order of `ppo_loss_forward`."""

    logprobs: np.ndarray
    entropies: np.ndarray
    values: np.ndarray
    old_logprobs: np.ndarray
    old_values: np.ndarray
    advantages: np.ndarray
    returns: np.ndarray

    def astype(self, dtype):
        return Rows(*[column.astype(dtype) for column in self])


def rows_of(ratios=1.0, advantages=0.0, values=0.0, old_values=0.0, returns=0.0, entropies=0.0):
    """Rows with the given numbers; a scalar stands for a whole column."""
    half = np.log(ratios) / 2
    columns = np.broadcast_arrays(half, entropies, values, -half, old_values, advantages, returns)
    return Rows(*[np.array(np.atleast_1d(column), np.float64) for column in columns])


def random_rows(seed, count):
    """Rows far from where they were collected, wherever that may be."""
    return Rows(*np.random.default_rng(seed).normal(scale=0.7, size=(7, count)))


def row_in(rng, sign, ratio_region, value_region):
    """ratio, advantage, value, old value and return of a row inside a region of the loss, far from its edges."""
    direction, old_value = rng.choice([-1, 1]), rng.normal()
    change = rng.uniform(0, 0.2) if value_region == "inside" else rng.uniform(0.3, 0.8)
    # In units of the way from V_old to V: R lies `back` behind V. Half way between V and Vc both errors are equal.
    half_way = (change - CLIP) / 2
    back = {
        "inside": rng.normal(),
        "clipped nearer": half_way + rng.uniform(0.01, 1),
        "clipped farther": half_way - rng.uniform(0.01, 1),
    }[value_region]
    ratio, advantage = rng.uniform(*RATIOS[ratio_region]), sign * rng.uniform(0.5, 2)
    value = old_value + direction * change
    return ratio, advantage, value, old_value, value - direction * back


def rows_in_every_region(seed, count=ALL):
    """Rows of different regions, all 18 of them if `count` is not less."""
    rng = np.random.default_rng(seed)
    chosen = [REGIONS[i] for i in rng.permutation(ALL)[:count]]
    columns = np.array([row_in(rng, *region) for region in chosen]).T
    return rows_of(*columns, entropies=rng.uniform(0, 2, len(chosen)))


def branches(rows):
    """Which side of each kink every row lies on."""
    ratios, change = np.exp(rows.logprobs - rows.old_logprobs), rows.values - rows.old_values
    value_sides = np.digitize(change, [-CLIP, CLIP])
    clipped = rows.old_values + np.clip(change, -CLIP, CLIP)
    farther = (value_sides != 1) & (np.abs(clipped - rows.returns) > np.abs(rows.values - rows.returns))
    return np.array([np.digitize(ratios, [1 - CLIP, 1 + CLIP]), value_sides, farther])
