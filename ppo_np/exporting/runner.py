"""What all formats have in common: a runner computes with a file that was read again."""

from collections.abc import Callable

import numpy as np

# Flat observations, (B, D) float32, and masks, (B, K) bool or None -> the outputs by the names of `output_names`.
Runner = Callable[[np.ndarray, np.ndarray | None], dict[str, np.ndarray]]
