import cmath
import math

import numpy as np


def gaussian_forward(means, log_std, actions):
    kind = np.result_type(means, log_std)
    logprobs, entropies = np.zeros(len(means), kind), np.zeros(len(means), kind)
    for b in range(len(means)):
        for a in range(means.shape[1]):
            std = cmath.exp(log_std[a]) if kind.kind == "c" else math.exp(log_std[a])
            zeta = (actions[b, a] - means[b, a]) / std
            logprobs[b] -= zeta * zeta / 2 + log_std[a] + 0.5 * math.log(2 * math.pi)
            entropies[b] += log_std[a] + 0.5 * (1 + math.log(2 * math.pi))
    return logprobs, entropies


def gaussian_backward(dlogprobs, dentropies, means, log_std, actions):
    dmeans, dlog_std = np.zeros(means.shape), np.zeros(len(log_std))
    for b in range(len(means)):
        for a in range(len(log_std)):
            distance = actions[b, a] - means[b, a]
            variance = math.exp(2 * log_std[a])
            dmeans[b, a] = dlogprobs[b] * distance / variance
            dlog_std[a] += dlogprobs[b] * (distance * distance / variance - 1)
            dlog_std[a] += dentropies[b]
    return dmeans, dlog_std


PLANT = {
    "mean-over-sigma-once": ("dlogprobs[b] * distance / variance", "dlogprobs[b] * distance / variance**0.5"),
    "log-std-without-1": ("(distance * distance / variance - 1)", "(distance * distance / variance)"),
    "no-entropy-gradient": ("dlog_std[a] += dentropies[b]", "pass"),
    "mean-sign": ("dmeans[b, a] = dlogprobs[b] * distance", "dmeans[b, a] = -dlogprobs[b] * distance"),
    "no-normaliser": ("+ log_std[a] + 0.5 * math.log(2 * math.pi)", "+ log_std[a]"),
}
