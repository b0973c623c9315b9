"""The interquartile mean over runs and its interval, as Agarwal et al. (2021) advise: https://arxiv.org/abs/2108.13264."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import bootstrap, trim_mean

RESAMPLES = 9_999


def iqm(scores: Sequence[float] | np.ndarray, axis: int = -1) -> np.ndarray:
    """Interquartile mean: the mean without the lowest and the highest quarter, each rounded down to whole scores."""
    return trim_mean(scores, 0.25, axis=axis)


def interval(scores: Sequence[float]) -> tuple[float, float] | None:
    """95% bootstrap interval of the interquartile mean, by percentiles: scores are resampled, with a fixed random seed.

    None for a single score.
    """
    if len(scores) < 2:
        return None
    found = bootstrap(
        (np.array(scores),), iqm, n_resamples=RESAMPLES, method="percentile", vectorized=True, axis=-1,
        random_state=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return float(found.low), float(found.high)
