import numpy as np

# With cosh: the slope of tanh is 1 / cosh^2. The entropy is that of -log pi of the sample, without its noise.


def log_cosh(u):
    return np.logaddexp(u, -u) - np.log(2)


def log_slope(u):
    return -2 * log_cosh(u)


def squashed_forward(means, log_std, u, low, high):
    variance = np.exp(2 * log_std)
    gaussian = -((u - means) ** 2) / (2 * variance) - np.log(2 * np.pi * variance) / 2
    return (gaussian - np.log(high / 2 - low / 2) + 2 * log_cosh(u)).sum(axis=1)


def squashed_entropy(means, log_std, xi, low, high):
    sample = means + np.exp(log_std) * xi
    noise = ((xi**2 - 1) / 2).sum(axis=1)
    return -squashed_forward(means, log_std, sample, low, high) - noise


def squashed_backward(dlogprobs, dentropies, means, log_std, u, xi):
    std = np.exp(log_std)
    dmeans, dstd = np.zeros(means.shape), np.zeros(len(std))
    for a in range(len(std)):
        z = (u[:, a] - means[:, a]) / std[a]
        dsample = -2 * dentropies * np.tanh(means[:, a] + std[a] * xi[:, a])
        dmeans[:, a] = dlogprobs * z / std[a] + dsample
        dstd[a] = (dlogprobs * (z**2 - 1) / std[a] + dentropies / std[a] + dsample * xi[:, a]).sum()
    return dmeans, dstd * std


PLANT = {
    "naive-form": ("return -2 * log_cosh(u)", "return np.log(1 - np.tanh(u) ** 2)"),
    "slope-sign": ("return -2 * log_cosh(u)", "return 2 * log_cosh(u)"),
    "jacobian-sign": (
        "(gaussian - np.log(high / 2 - low / 2) + 2 * log_cosh(u))",
        "(gaussian + np.log(high / 2 - low / 2) - 2 * log_cosh(u))",
    ),
    "half-of-xi-squared": ("low, high) - noise", "low, high)"),
    "entropy-slope-at-the-mean": (
        "    return -squashed_forward(means, log_std, sample, low, high) - noise",
        "    change = 2 * log_cosh(sample) - 2 * log_cosh(means)\n"
        "    return -squashed_forward(means, log_std, sample, low, high) - noise + change.sum(axis=1)",
    ),
    "tanh-at-the-mean": ("np.tanh(means[:, a] + std[a] * xi[:, a])", "np.tanh(means[:, a])"),
    "entropy-at-a-fixed-action": (
        "        dmeans[:, a] = dlogprobs * z / std[a] + dsample\n",
        "        dlogpi = dlogprobs - dentropies\n"
        "        dmeans[:, a] = dlogpi * z / std[a]\n"
        "        dstd[a] = (dlogpi * (z**2 - 1) / std[a]).sum()\n"
        "        continue\n",
    ),
    "row-mean": ("return dmeans, dstd * std", "return dmeans / len(means), dstd * std / len(means)"),
}  # fmt: skip
