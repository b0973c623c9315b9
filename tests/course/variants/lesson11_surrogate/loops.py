import cmath

import numpy as np


def _exp(x):
    return cmath.exp(x) if isinstance(x, complex) else float(np.exp(x))


def policy_loss(logprobs, old_logprobs, advantages, clip_coef):
    total = 0
    for new, old, a in zip(logprobs, old_logprobs, advantages, strict=True):
        r = _exp(new - old)
        clipped = r
        if r.real > 1 + clip_coef:
            clipped = 1 + clip_coef
        elif r.real < 1 - clip_coef:
            clipped = 1 - clip_coef
        one, two = -a * r, -a * clipped
        total += one if one.real >= two.real else two
    return total / len(logprobs)


def policy_loss_backward(dloss, logprobs, old_logprobs, advantages, clip_coef):
    dlogprobs = np.zeros(len(logprobs))
    for b in range(len(logprobs)):
        r = np.exp(logprobs[b] - old_logprobs[b])
        if advantages[b] > 0 and r > 1 + clip_coef:
            continue
        if advantages[b] < 0 and r < 1 - clip_coef:
            continue
        dlogprobs[b] = -dloss * advantages[b] * r / len(logprobs)
    return dlogprobs


PLANT = {
    "sum-not-mean": ("* r / len(logprobs)\n    return", "* r\n    return"),
    "policy-sign": ("= -dloss * advantages", "= dloss * advantages"),
    "no-ratio": ("advantages[b] * r / len(logprobs)", "advantages[b] / len(logprobs)"),
    "wrong-side": ("if advantages[b] > 0 and r > 1", "if advantages[b] < 0 and r > 1"),
    "sum-forward": ("return total / len(logprobs)", "return total"),
}
