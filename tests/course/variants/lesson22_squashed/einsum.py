import numpy as np


def log_slope(u):
    distance = np.where(u > 0, u, -u)
    return 2 * np.log(2) - 2 * distance - 2 * np.log1p(np.exp(-2 * distance))


def log_jacobian(u, low, high):
    return log_slope(u) + np.log(high - low) - np.log(2)


def squashed_forward(means, log_std, u, low, high):
    zeta = np.exp(-log_std) * (u - means)
    constant = log_std.sum() + len(log_std) / 2 * np.log(2 * np.pi)
    logprobs = -0.5 * np.einsum("ba,ba->b", zeta, zeta) - constant
    return logprobs - np.einsum("ba->b", log_jacobian(u, low, high))


def squashed_entropy(means, log_std, xi, low, high):
    constant = log_std.sum() + len(log_std) / 2 * np.log(2 * np.pi * np.e)
    sample = means + np.einsum("a,ba->ba", np.exp(log_std), xi)
    return constant + np.einsum("ba->b", log_jacobian(sample, low, high))


def squashed_backward(dlogprobs, dentropies, means, log_std, u, xi):
    inverse = np.exp(-log_std)
    zeta = inverse * (u - means)
    move = xi / inverse
    pull = np.einsum("b,ba->ba", 2 * dentropies, np.tanh(means + move))
    dmeans = np.einsum("b,ba,a->ba", dlogprobs, zeta, inverse) - pull
    dlog_std = np.einsum("b,ba->a", dlogprobs, zeta**2 - 1) + dentropies.sum() - np.einsum("ba,ba->a", pull, move)
    return dmeans, dlog_std


PLANT = {
    "slope-without-log-2": ("2 * np.log(2) - 2 * distance", "-2 * distance"),
    "slope-for-log": (
        "return 2 * np.log(2) - 2 * distance - 2 * np.log1p(np.exp(-2 * distance))",
        "return 4 * np.exp(-2 * distance) / (1 + np.exp(-2 * distance)) ** 2",
    ),
    "jacobian-sign": ("return logprobs - np", "return logprobs + np"),
    "entropy-of-the-gaussian": ("log_jacobian(sample, low", "0 * log_jacobian(sample, low"),
    "entropy-tanh-sign": ('pull = np.einsum("b,ba->ba", 2', 'pull = np.einsum("b,ba->ba", -2'),
    "entropy-factor-2": ('pull = np.einsum("b,ba->ba", 2 *', 'pull = np.einsum("b,ba->ba", 1 *'),
    "tanh-at-u": ("np.tanh(means + move)", "np.tanh(u)"),
    "sigma-xi-forgotten": ('- np.einsum("ba,ba->a", pull, move)', '- np.einsum("ba->a", pull)'),
    "sigma-forgotten": ('- np.einsum("ba,ba->a", pull, move)', '- np.einsum("ba,ba->a", pull, xi)'),
    "no-gaussian-entropy": (" + dentropies.sum() - np", " - np"),
}  # fmt: skip
