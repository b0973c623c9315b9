import numpy as np
from lesson04_mlp import mlp_backward, mlp_forward


def _rows(values, old, target, e, clip):
    """The clipped or unclipped error of each row, whichever is larger."""
    for value, before, r in zip(values, old, target, strict=True):
        error = value - r
        if clip and abs((value - before).real) > e:
            edge = before + e if (value - before).real > 0 else before - e
            if abs(edge - r) > abs(error.real):
                error = edge - r
        yield error


def ppo_loss(
    logprobs, entropies, values, old_logprobs, old_values, advantages, returns, clip_coef, ent_coef, vf_coef, clip_vloss
):
    loss = 0
    errors = list(_rows(values, old_values, returns, clip_coef, clip_vloss))
    for b in range(len(logprobs)):
        r = np.exp(logprobs[b] - old_logprobs[b])
        bounded = r if 1 - clip_coef <= r.real <= 1 + clip_coef else 1 + clip_coef * np.sign(r.real - 1)
        policy = max(-advantages[b] * r, -advantages[b] * bounded, key=lambda x: x.real)
        loss = loss + policy - ent_coef * entropies[b] + 0.5 * vf_coef * errors[b] ** 2
    return loss / len(logprobs)


def ppo_loss_backward(
    dloss, logprobs, values, old_logprobs, old_values, advantages, returns, clip_coef, ent_coef, vf_coef, clip_vloss
):
    rows = len(logprobs)
    dlogprobs, dentropies, dvalues = np.zeros((3, rows))
    for b in range(rows):
        r = np.exp(logprobs[b] - old_logprobs[b])
        done = r > 1 + clip_coef if advantages[b] > 0 else r < 1 - clip_coef
        dlogprobs[b] = 0 if done else -dloss / rows * advantages[b] * r
        dentropies[b] = -dloss / rows * ent_coef
        change = values[b] - old_values[b]
        error = values[b] - returns[b]
        if clip_vloss and abs(change) > clip_coef:
            edge = old_values[b] + clip_coef * np.sign(change)
            error = 0 if abs(edge - returns[b]) > abs(error) else error
        dvalues[b] = dloss / rows * vf_coef * error
    return dlogprobs, dentropies, dvalues


def actor_critic_forward(obs, shared, policy, value, activation):
    trunk = mlp_forward(obs, shared, activation, True)
    heads = [mlp_forward(trunk[-1], layers, activation, False) for layers in (policy, value)]
    return heads[0][-1], heads[1][-1].reshape(-1), (trunk, *heads)


def actor_critic_backward(dlogits, dvalues, outputs, shared, policy, value, activation):
    gradients, dfeatures = [], 0
    for dy, head, layers in zip((dlogits, dvalues.reshape(-1, 1)), outputs[1:], (policy, value), strict=True):
        dlayers, dx = mlp_backward(dy, head, layers, activation, False)
        gradients.append(dlayers)
        dfeatures = dfeatures + dx
    return mlp_backward(dfeatures, outputs[0], shared, activation, True)[0], *gradients


PLANT = {
    "entropy-sign": ("dentropies[b] = -dloss", "dentropies[b] = dloss"),
    "no-vf-coef": ("dloss / rows * vf_coef * error", "dloss / rows * error"),
    "no-ent-coef": ("-dloss / rows * ent_coef", "-dloss / rows"),
    "no-policy-at-fork": ("dfeatures = dfeatures + dx", "dfeatures = dx"),
    "trunk-not-activated": ("shared, activation, True)[0]", "shared, activation, False)[0]"),
    "entropy-sign-forward": ("policy - ent_coef * entropies[b]", "policy + ent_coef * entropies[b]"),
}
