"""Central differences in float64: the judge of every hand-written gradient."""

import numpy as np

H = 1e-5
TOLERANCE = 1e-7
# Gradients below this are rounding noise of the differences themselves: about 1e-16 / H times the size of the loss.
FLOOR = 1e-9


def _either_side(function, x: np.ndarray):
    """Yield function() at x + h and at x - h for one coordinate of x after another; x is restored in between."""
    flat = x.reshape(-1)
    for i in range(flat.size):
        value = flat[i]
        flat[i] = value + H
        above = function()
        flat[i] = value - H
        below = function()
        flat[i] = value
        yield above, below


def numeric_gradient(function, x: np.ndarray) -> np.ndarray:
    """d function() / d x by (f(x + h) - f(x - h)) / 2h, one coordinate after another.

    Args:
        function: no arguments; reads `x`, returns a scalar.
        x: float64 array, changed and restored in place.
    """
    differences = [(above - below) / (2 * H) for above, below in _either_side(function, x)]
    return np.array(differences).reshape(x.shape)


def crosses_a_kink(branches, x: np.ndarray) -> bool:
    """Whether some coordinate's step leads over a kink, where a central difference means nothing.

    Args:
        branches: no arguments; reads `x`, returns an array that tells which side of each kink x lies on.
        x: float64 array, changed and restored in place.
    """
    return any(not np.array_equal(above, below) for above, below in _either_side(branches, x))


def assert_gradient(analytic: np.ndarray, numeric: np.ndarray, name: str = "gradient") -> None:
    """Fail unless |a - n| <= 1e-7 (|a| + |n|) + floor, norms taken over the whole tensor; show the worst coordinate."""
    error = np.linalg.norm(analytic - numeric)
    scale = np.linalg.norm(analytic) + np.linalg.norm(numeric)
    worst = np.unravel_index(np.argmax(np.abs(analytic - numeric)), analytic.shape)
    assert error <= TOLERANCE * scale + FLOOR, (
        f"{name}: relative error {error / scale:.1e}; "
        f"at {worst} analytic {analytic[worst]:.9g}, numeric {numeric[worst]:.9g}"
    )
