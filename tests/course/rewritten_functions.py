"""Functions of the course written differently: other orders of terms, loops, einsum, formulas equal only on paper."""

import numpy as np
from course.plain_functions import PLAIN, named


def mlp_forward_2(x, layers, activation, activate_last):
    outputs = [x]
    for number, (weight, bias) in enumerate(layers, 1):
        y = bias + np.einsum("bi,io->bo", outputs[-1], weight)
        if number < len(layers) or activate_last:
            y = 2 / (1 + np.exp(-2 * y)) - 1 if activation == "tanh" else np.where(y > 0, y, 0)
        outputs.append(y)
    return outputs


def mlp_backward_2(dy, outputs, layers, activation, activate_last):
    dlayers = [None] * len(layers)
    for l in range(len(layers) - 1, -1, -1):
        h = outputs[l + 1]
        if activate_last or l != len(layers) - 1:
            dy = dy * ((1 - h) * (1 + h) if activation == "tanh" else np.sign(h))
        dlayers[l] = np.einsum("bi,bo->io", outputs[l], dy), np.ones(len(dy)) @ dy
        dy = np.einsum("bo,io->bi", dy, layers[l][0])
    return dlayers, dy


def categorical_forward_2(logits, actions):
    exponentials = np.exp(logits - logits.mean(axis=1, keepdims=True))
    probs = exponentials / exponentials.sum(axis=1, keepdims=True)
    log_probs = np.log(probs)
    logprobs = np.array([row[action] for row, action in zip(log_probs, actions, strict=True)])
    return log_probs, logprobs, -np.einsum("bk,bk->b", probs, log_probs)


def categorical_sample_2(logits, uniforms):
    log_probs, _, _ = categorical_forward_2(logits, np.zeros(len(logits), int))
    actions = np.array(
        [int(np.searchsorted(np.cumsum(p)[:-1], u, "right")) for p, u in zip(np.exp(log_probs), uniforms, strict=True)]
    )
    return actions, np.take_along_axis(log_probs, actions[:, None], axis=1)[:, 0]


def categorical_backward_2(dlogprobs, dentropies, actions, log_probs, entropies):
    one_hot = np.eye(log_probs.shape[1])[actions]
    probs = np.exp(log_probs)
    return dlogprobs[:, None] * (one_hot - probs) - (log_probs + entropies[:, None]) * probs * dentropies[:, None]


def ppo_loss_backward_2(
    dloss, logprobs, values, old_logprobs, old_values, advantages, returns, clip_coef, ent_coef, vf_coef, clip_vloss
):
    ratio = np.exp(logprobs) / np.exp(old_logprobs)
    dlogprobs, dvalues = np.empty((2, len(ratio)))
    for b in range(len(ratio)):
        limit = 1 + clip_coef if advantages[b] > 0 else 1 - clip_coef
        inside = ratio[b] <= limit if advantages[b] > 0 else ratio[b] >= limit
        dlogprobs[b] = -ratio[b] * advantages[b] * dloss / len(ratio) if inside else 0
        error = values[b] - returns[b]
        clipped = np.clip(values[b], old_values[b] - clip_coef, old_values[b] + clip_coef) - returns[b]
        flat = clip_vloss and abs(values[b] - old_values[b]) > clip_coef and abs(clipped) > abs(error)
        dvalues[b] = 0 if flat else error * vf_coef / len(ratio) * dloss
    return dlogprobs, -dloss * np.full(len(ratio), ent_coef) / len(ratio), dvalues


def gae_2(rewards, values, final_values, terminations, truncations, gamma, gae_lambda):
    advantages = np.zeros_like(rewards)
    for n in range(rewards.shape[1]):
        following = 0.0
        for t in range(len(rewards) - 1, -1, -1):
            successor = final_values[t, n] if truncations[t, n] else values[t + 1, n]
            successor = 0.0 if terminations[t, n] else successor
            following = 0.0 if terminations[t, n] or truncations[t, n] else following
            following = -values[t, n] + gamma * (gae_lambda * following + successor) + rewards[t, n]
            advantages[t, n] = following
    return advantages, values[:-1] + advantages


def normalize_2(advantages):
    deviations = advantages - np.add.reduce(advantages) / len(advantages)
    return deviations * (1 / (np.sqrt(deviations @ deviations / len(deviations)) + 1e-8))


def orthogonal_2(normals, gain, shape):
    columns = []
    for column in normals.T:  # Gram and Schmidt, twice because of rounding
        for _ in range(2):
            column = column - sum((q @ column) * q for q in columns)
        columns.append(column / np.sqrt(column @ column))
    rows = gain * np.array(columns)
    return rows if shape[0] < shape[1] else rows.T


def clip_by_global_norm_2(grads, max_norm):
    norm = np.linalg.norm(np.concatenate([grad.ravel() for grad in grads]))
    return [grad / norm * max_norm if norm > max_norm else grad for grad in grads]


def adam_2(params, grads, m, v, step, learning_rate, beta1, beta2, eps):
    m = m + (1 - beta1) * (grads - m)
    v = v + (1 - beta2) * (grads**2 - v)
    mhat, vhat = m / (1 - beta1**step), v / (1 - beta2**step)
    return params - learning_rate * (mhat / (vhat**0.5 + eps)), m, v


def minibatches_2(num_rows, num_minibatches, rng):
    order = np.arange(num_rows)
    rng.shuffle(order)
    return list(np.array_split(order, num_minibatches))


def collect_2(envs, act, obs, num_steps):
    names = "obs", "actions", "logprobs", "values", "rewards", "terminations", "truncations", "final_values"
    rows = []
    for _ in range(num_steps):
        actions, logprobs, values = act(obs)
        next_obs, rewards, terminations, truncations, infos = envs.step(actions)
        final_values = np.full(envs.num_envs, np.nan)
        for n in np.flatnonzero(truncations):  # one at a time
            final_values[n] = act(infos["final_obs"][n][None])[2][0]
        rows.append((obs, actions, logprobs, values, rewards, terminations, truncations, final_values))
        obs = next_obs
    rollout = {name: np.stack(columns) for name, columns in zip(names, zip(*rows, strict=True), strict=True)}
    rollout["values"] = np.concatenate([rollout["values"], act(obs)[2][None]])
    return rollout, obs


REWRITTEN = PLAIN | named(
    mlp_forward_2, mlp_backward_2, categorical_forward_2, categorical_sample_2, categorical_backward_2,
    ppo_loss_backward_2, gae_2, normalize_2, orthogonal_2, clip_by_global_norm_2, adam_2, minibatches_2, collect_2,
)  # fmt: skip
