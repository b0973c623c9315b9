import numpy as np


def policy_gradient(logits, actions, returns, baselines):
    probs = np.exp(logits)
    probs /= probs.sum(axis=1, keepdims=True)
    weights = (returns - baselines)[:, np.newaxis] / len(returns)
    drawn = np.arange(probs.shape[1])[np.newaxis] == actions[:, np.newaxis]
    p_of_drawn = np.where(drawn, probs, 0).sum(axis=1, keepdims=True)
    dprobs = np.where(drawn, -weights / p_of_drawn, 0)
    return probs * (dprobs - (probs * dprobs).sum(axis=1, keepdims=True))


PLANT = {
    "p-for-log-p": ("-weights / p_of_drawn", "-weights"),
    "baseline-of-the-action": ("(returns - baselines)", "(returns - baselines[actions])"),
    "mean-over-actions-too": ("len(returns)", "probs.size"),
    "sign": ("-weights / p_of_drawn", "weights / p_of_drawn"),
}
