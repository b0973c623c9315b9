"""Derive the coefficients of `kernels/activation.py`: tanh(x) = x P(x^2) / Q(x^2), Q(0) = 1, on [-7.9, 7.9].

`python -m bench.reference.fit_tanh` prints the fit's largest relative error in float64, P0..P6 and Q1..Q3, and the
largest absolute error left when the function is evaluated in float32.
"""

import numpy as np
from numpy.polynomial.polynomial import polyval

LIMIT, NUMERATOR_DEGREE, DENOMINATOR_DEGREE = 7.9, 6, 3
NODES, ITERATIONS = 4000, 400
SMALLEST = 1e-3  # closer to 0, both sides of the fit are x to float64's last digits
WEIGHT_FLOOR = 1e-3  # keeps a node that once fits exactly from dropping out for good


def fit() -> tuple[float, np.ndarray, np.ndarray]:
    """Fit the rational function so that its largest relative error is least (Lawson's weights).

    Each round solves the linear least squares problem

        min sum_i w_i ((x_i P(s_i) - f_i Q(s_i)) / (f_i Q'(s_i)))^2,   s = (x / LIMIT)^2,   f = tanh(x)

    with Q' the previous round's Q, and multiplies each weight by the error found there. Returns the largest relative
    error, the coefficients of P (in x^2, from the constant on) and those of Q.
    """
    x = LIMIT / 2 * (1 - np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES))
    x = x[x > SMALLEST]
    f, powers = np.tanh(x), np.vander((x / LIMIT) ** 2, NUMERATOR_DEGREE + 1, increasing=True)
    columns = np.hstack([x[:, np.newaxis] * powers, -f[:, np.newaxis] * powers[:, 1 : DENOMINATOR_DEGREE + 1]])
    weights, q = np.ones_like(x), np.ones_like(x)
    best = (np.inf, np.empty(0), np.empty(0))
    for _ in range(ITERATIONS):
        scale = np.sqrt(weights) / (f * q)
        solution = np.linalg.lstsq(columns * scale[:, np.newaxis], f * scale)[0]
        numerator, denominator = solution[: NUMERATOR_DEGREE + 1], np.append(1, solution[NUMERATOR_DEGREE + 1 :])
        q = powers[:, : DENOMINATOR_DEGREE + 1] @ denominator
        errors = np.abs(x * (powers @ numerator) / (q * f) - 1)
        best = min(best, (errors.max(), numerator, denominator), key=lambda fitted: fitted[0])
        weights *= errors / errors.max() + WEIGHT_FLOOR
        weights /= weights.mean()
    unscaled = [coefficients / LIMIT ** (2 * np.arange(len(coefficients))) for coefficients in best[1:]]
    return float(best[0]), *unscaled


def float32_error(numerator: np.ndarray, denominator: np.ndarray) -> float:
    """Largest |x P / Q - tanh(x)| over [-12, 12], with x clamped to +-LIMIT and all arithmetic in float32."""
    x = np.linspace(-12, 12, 4_000_001, dtype=np.float32)
    clamped = np.clip(x, np.float32(-LIMIT), np.float32(LIMIT))
    p, q = (polyval(clamped * clamped, part.astype(np.float32)) for part in (numerator, denominator))
    return float(np.abs(clamped * p / q - np.tanh(x.astype(np.float64))).max())


if __name__ == "__main__":
    error, *parts = fit()
    for letter, coefficients in zip("PQ", parts, strict=True):
        for k, coefficient in enumerate(coefficients):
            print(f"{letter}{k} = {float(coefficient)!r}")
    print(f"largest relative error of the fit: {error:.1e}")
    print(f"largest absolute error in float32: {float32_error(*parts):.1e}")
