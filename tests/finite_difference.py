"""Central differences in float64: the judge of every hand-written gradient."""

import numpy as np

H = 1e-5
TOLERANCE = 1e-7
# Gradients below this are rounding noise of the differences themselves: about 1e-16 / H times the size of the loss.
FLOOR = 1e-9


def numeric_gradient(function, x: np.ndarray) -> np.ndarray:
    """d function() / d x by (f(x + h) - f(x - h)) / 2h, one coordinate after another.

    Args:
        function: no arguments; reads `x`, returns a scalar.
        x: float64 array, changed and restored in place.
    """
    gradient = np.zeros_like(x)
    flat, out = x.reshape(-1), gradient.reshape(-1)
    for i in range(flat.size):
        value = flat[i]
        flat[i] = value + H
        above = function()
        flat[i] = value - H
        below = function()
        flat[i] = value
        out[i] = (above - below) / (2 * H)
    return gradient


def assert_gradient(analytic: np.ndarray, numeric: np.ndarray, name: str = "gradient") -> None:
    """Fail unless |a - n| <= 1e-7 (|a| + |n|) + floor, norms taken over the whole tensor; show the worst coordinate."""
    error = np.linalg.norm(analytic - numeric)
    scale = np.linalg.norm(analytic) + np.linalg.norm(numeric)
    worst = np.unravel_index(np.argmax(np.abs(analytic - numeric)), analytic.shape)
    assert error <= TOLERANCE * scale + FLOOR, (
        f"{name}: relative error {error / scale:.1e}; at {worst} analytic {analytic[worst]:.9g}, numeric {numeric[worst]:.9g}"
    )
