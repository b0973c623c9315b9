import numpy as np


def gaussian_forward(means, log_std, actions):
    zeta = np.exp(-log_std) * (actions - means)
    constant = log_std.sum() + len(log_std) / 2 * np.log(2 * np.pi)
    logprobs = -0.5 * np.einsum("ba,ba->b", zeta, zeta) - constant
    return logprobs, np.full(len(means), constant + len(log_std) / 2)


def gaussian_backward(dlogprobs, dentropies, means, log_std, actions):
    inverse = np.exp(-log_std)
    zeta = inverse * (actions - means)
    dmeans = np.einsum("b,ba,a->ba", dlogprobs, zeta, inverse)
    dlog_std = np.einsum("b,ba->a", dlogprobs, zeta**2) - dlogprobs.sum() + dentropies.sum()
    return dmeans, dlog_std


PLANT = {
    "log-std-without-1": (" - dlogprobs.sum() + dentropies.sum()", " + dentropies.sum()"),
    "entropy-once": ("+ dentropies.sum()", "+ dentropies.mean()"),
    "no-log-std-gradient": ("return dmeans, dlog_std", "return dmeans, 0 * dlog_std"),
    "variance-for-std": (
        "zeta = np.exp(-log_std) * (actions - means)",
        "zeta = np.exp(-2 * log_std) * (actions - means)",
    ),
}
