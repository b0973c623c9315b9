import numpy as np


def gaussian_forward(means, log_std, actions):
    variance = np.exp(2 * log_std)
    logprobs = 0
    for a in range(len(log_std)):
        density = np.exp(-((actions[:, a] - means[:, a]) ** 2) / (2 * variance[a])) / np.sqrt(2 * np.pi * variance[a])
        logprobs = logprobs + np.log(density)
    entropy = 0.5 * np.log(2 * np.pi * np.e * variance).sum()
    return logprobs, np.repeat(entropy, len(means))


def gaussian_backward(dlogprobs, dentropies, means, log_std, actions):
    std = np.exp(log_std)
    dstd = np.zeros(len(std))
    for a in range(len(std)):
        z = (actions[:, a] - means[:, a]) / std[a]
        dstd[a] = (dlogprobs * z**2 / std[a] - dlogprobs / std[a] + dentropies / std[a]).sum()
    dmeans = (actions - means) * dlogprobs.reshape(-1, 1) / std**2
    return dmeans, dstd * std


PLANT = {
    "sigma-for-log-sigma": ("return dmeans, dstd * std", "return dmeans, dstd"),
    "mean-over-sigma-once": ("dlogprobs.reshape(-1, 1) / std**2", "dlogprobs.reshape(-1, 1) / std"),
    "mean-sign": ("(actions - means) * dlogprobs", "(means - actions) * dlogprobs"),
}
