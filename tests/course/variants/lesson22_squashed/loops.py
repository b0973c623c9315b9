import math

import numpy as np


def log_of_one(u):
    v = abs(u)
    return 2 * (math.log(2) - v - math.log1p(math.exp(-2 * v)))


def log_slope(u):
    result = np.zeros(u.shape)
    for b in range(u.shape[0]):
        for a in range(u.shape[1]):
            result[b, a] = log_of_one(u[b, a])
    return result


def squashed_forward(means, log_std, u, low, high):
    logprobs = [0.0] * len(u)
    means, log_std = means.tolist(), log_std.tolist()  # Python's numbers
    for b in range(len(u)):
        for a in range(len(log_std)):
            zeta = (u[b, a] - means[b][a]) / math.exp(log_std[a])
            logprobs[b] -= zeta**2 / 2 + log_std[a] + math.log(2 * math.pi) / 2
            logprobs[b] -= math.log((high[a] - low[a]) / 2) + log_of_one(u[b, a])
    return np.array(logprobs)


def squashed_entropy(means, log_std, xi, low, high):
    entropies = [0.0] * len(xi)
    means, log_std = means.tolist(), log_std.tolist()  # Python's numbers
    for b in range(len(xi)):
        for a in range(len(log_std)):
            sample = means[b][a] + math.exp(log_std[a]) * xi[b, a]
            entropies[b] += log_std[a] + math.log(2 * math.pi) / 2 + 0.5
            entropies[b] += math.log((high[a] - low[a]) / 2) + log_of_one(sample)
    return np.array(entropies)


def squashed_backward(dlogprobs, dentropies, means, log_std, u, xi):
    dmeans, dlog_std = np.zeros(means.shape), np.zeros(len(log_std))
    for b in range(len(means)):
        for a in range(len(log_std)):
            std = math.exp(log_std[a])
            zeta = (u[b, a] - means[b, a]) / std
            dsample = -2 * math.tanh(means[b, a] + std * xi[b, a]) * dentropies[b]
            dmeans[b, a] = dlogprobs[b] * zeta / std + dsample
            dlog_std[a] += dlogprobs[b] * (zeta**2 - 1) + dentropies[b] + dsample * std * xi[b, a]
    return dmeans, dlog_std


PLANT = {
    "slope-factor-2": ("return 2 * (math.log(2) - v", "return (math.log(2) - v"),
    "slope-sign": ("return 2 * (math.log(2) - v", "return -2 * (math.log(2) - v"),
    "jacobian-forgotten": ("logprobs[b] -= math.log((high[a] - low[a]) / 2) + log_of_one(u[b, a])", "pass"),
    "width-forgotten": ("logprobs[b] -= math.log((high[a] - low[a]) / 2) + log", "logprobs[b] -= log"),
    "width-not-halved": (
        "logprobs[b] -= math.log((high[a] - low[a]) / 2)",
        "logprobs[b] -= math.log(high[a] - low[a])",
    ),
    "slope-at-the-mean": (
        "log_of_one(u[b, a])\n    return np.array(logprobs)",
        "log_of_one(means[b][a])\n    return np.array(logprobs)",
    ),
    "entropy-jacobian-sign": ("entropies[b] += math.log((", "entropies[b] -= math.log(("),
    "entropy-width-forgotten": ("entropies[b] += math.log((high[a] - low[a]) / 2) + log", "entropies[b] += log"),
    "sample-without-sigma": ("math.exp(log_std[a]) * xi[b, a]\n", "xi[b, a]\n"),
    "jacobian-differentiated": ("zeta / std + dsample", "zeta / std + dsample + 2 * dlogprobs[b] * math.tanh(u[b, a])"),
    "entropy-tanh-sign": ("dsample = -2", "dsample = 2"),
    "slope-of-tanh": (
        "dsample = -2 * math.tanh(means[b, a] + std * xi[b, a]) * dentropies[b]",
        "dsample = (1 - math.tanh(means[b, a] + std * xi[b, a]) ** 2) * dentropies[b]",
    ),
    "xi-forgotten": ("dsample * std * xi[b, a]", "dsample * std"),
    "no-slope-in-log-std": (" + dsample * std * xi[b, a]", ""),
}  # fmt: skip
