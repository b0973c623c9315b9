import numpy as np


def policy_gradient(logits, actions, returns, baselines):
    rows, kinds = logits.shape
    dlogits = np.zeros((rows, kinds))
    for b in range(rows):
        total = np.exp(logits[b]).sum()
        weight = returns[b] - baselines[b]
        for k in range(kinds):
            p = np.exp(logits[b, k]) / total
            slope = (1 if k == actions[b] else 0) - p
            dlogits[b, k] = -weight * slope / rows
    return dlogits


PLANT = {
    "sign": ("= -weight * slope", "= weight * slope"),
    "sum-for-mean": ("-weight * slope / rows", "-weight * slope"),
    "mean-over-actions-too": ("-weight * slope / rows", "-weight * slope / rows / kinds"),
    "no-baseline": ("weight = returns[b] - baselines[b]", "weight = returns[b]"),
    "baseline-of-the-batch": ("weight = returns[b] - baselines[b]", "weight = returns[b] - np.mean(returns)"),
}
