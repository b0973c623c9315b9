"""The logarithm of the gamma function and its first two derivatives, for positive numbers.

Each function uses Stirling's series, whose error falls quickly with x. Below `LARGE`, the recurrence
Gamma(x + 1) = x Gamma(x) leads from x to x + n >= `LARGE` first. The second function is the derivative of the first,
and the third is that of the second, term by term.
"""

import math

from kernels._jit import kernel

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
LARGE = 10.0  # from here on, the terms that are left out are below 1e-15, a rounding error


@kernel
def log_gamma(x):
    """The logarithm of the gamma function.

    log Gamma(x) = (x - 1/2) log x - x + log(2 pi)/2 + 1/(12 x) - 1/(360 x^3) + 1/(1260 x^5) - ...,  for large x
    log Gamma(x) = log Gamma(x + n) - log(x (x + 1) ... (x + n - 1))

    Derivation: docs/gradients.md, "Beta distribution".

    Args:
        x: one number > 0 of an array such as alpha, (B, A), in float64.

    Returns:
        log Gamma(x).
    """
    product = 1.0
    while x < LARGE:
        product *= x
        x += 1.0
    r = 1.0 / x
    s = r * r
    series = 1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s * (1 / 1188 - s * 691 / 360360))))
    return (x - 0.5) * math.log(x) - x + HALF_LOG_2PI + r * series - math.log(product)


@kernel
def digamma(x):
    """The derivative of `log_gamma`.

    psi(x) = log x - 1/(2 x) - 1/(12 x^2) + 1/(120 x^4) - 1/(252 x^6) + ...,  for large x
    psi(x) = psi(x + n) - (1/x + 1/(x + 1) + ... + 1/(x + n - 1))

    Derivation: docs/gradients.md, "Beta distribution".

    Args:
        x: one number > 0 of an array such as alpha, (B, A), in float64.

    Returns:
        psi(x).
    """
    total = 0.0
    while x < LARGE:
        total += 1.0 / x
        x += 1.0
    r = 1.0 / x
    s = r * r
    series = 1 / 12 - s * (1 / 120 - s * (1 / 252 - s * (1 / 240 - s * (1 / 132 - s * 691 / 32760))))
    return math.log(x) - 0.5 * r - s * series - total


@kernel
def trigamma(x):
    """The derivative of `digamma`.

    psi'(x) = 1/x + 1/(2 x^2) + 1/(6 x^3) - 1/(30 x^5) + 1/(42 x^7) - ...,  for large x
    psi'(x) = psi'(x + n) + 1/x^2 + 1/(x + 1)^2 + ... + 1/(x + n - 1)^2

    Derivation: docs/gradients.md, "Beta distribution".

    Args:
        x: one number > 0 of an array such as alpha, (B, A), in float64.

    Returns:
        psi'(x).
    """
    total = 0.0
    while x < LARGE:
        total += 1.0 / (x * x)
        x += 1.0
    r = 1.0 / x
    s = r * r
    series = 1 / 6 - s * (1 / 30 - s * (1 / 42 - s * (1 / 30 - s * (5 / 66 - s * (691 / 2730 - s * 7 / 6)))))
    return r + 0.5 * s + r * s * series + total
