"""All functions of the course in plain NumPy, as a learner might write them."""

import numpy as np


def linear_backward(dy, x, weight):
    return x.T @ dy, dy.sum(axis=0), dy @ weight.T


def relu_backward(dh, h):
    return dh * (h > 0)


def tanh_backward(dh, h):
    return dh * (1 - h * h)


def mlp_forward(x, layers, activation, activate_last):
    outputs = [x]
    for l, (weight, bias) in enumerate(layers):
        y = outputs[-1] @ weight + bias
        if l < len(layers) - 1 or activate_last:
            y = np.tanh(y) if activation == "tanh" else np.maximum(y, 0)
        outputs.append(y)
    return outputs


def mlp_backward(dy, outputs, layers, activation, activate_last, tanh_backward=tanh_backward):
    dlayers = []
    for l in reversed(range(len(layers))):
        if l < len(layers) - 1 or activate_last:
            dy = tanh_backward(dy, outputs[l + 1]) if activation == "tanh" else relu_backward(dy, outputs[l + 1])
        dweight, dbias, dy = linear_backward(dy, outputs[l], layers[l][0])
        dlayers.insert(0, (dweight, dbias))
    return dlayers, dy


def actor_critic_forward(obs, shared, policy, value, activation):
    trunk = mlp_forward(obs, shared, activation, True)
    policy_outputs = mlp_forward(trunk[-1], policy, activation, False)
    value_outputs = mlp_forward(trunk[-1], value, activation, False)
    return policy_outputs[-1], value_outputs[-1][:, 0], (trunk, policy_outputs, value_outputs)


def actor_critic_backward(dlogits, dvalues, outputs, shared, policy, value, activation):
    trunk, policy_outputs, value_outputs = outputs
    dpolicy, dh_policy = mlp_backward(dlogits, policy_outputs, policy, activation, False)
    dvalue, dh_value = mlp_backward(dvalues[:, None], value_outputs, value, activation, False)
    dshared, _ = mlp_backward(dh_policy + dh_value, trunk, shared, activation, True)
    return dshared, dpolicy, dvalue


def log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def categorical_sample(logits, uniforms):
    log_probs = log_softmax(logits)
    actions = (np.exp(log_probs).cumsum(axis=1)[:, :-1] <= uniforms[:, None]).sum(axis=1)
    return actions, log_probs[np.arange(len(actions)), actions]


def categorical_forward(logits, actions):
    log_probs = log_softmax(logits)
    entropies = -(np.exp(log_probs) * log_probs).sum(axis=1)
    return log_probs, log_probs[np.arange(len(actions)), actions], entropies


def categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies):
    probs = np.exp(log_probs)
    dlogits = -dlogprobs[:, None] * probs - dentropies[:, None] * probs * (log_probs + entropies[:, None])
    dlogits[np.arange(len(actions)), actions] += dlogprobs
    return dlogits


def gaussian_forward(means, log_std, actions):
    zeta = (actions - means) / np.exp(log_std)
    logprobs = -(zeta * zeta / 2 + log_std + np.log(2 * np.pi) / 2).sum(axis=1)
    return logprobs, np.full(len(means), (log_std + (np.log(2 * np.pi) + 1) / 2).sum())


def gaussian_backward(dlogprobs, dentropies, means, log_std, actions):
    zeta = (actions - means) / np.exp(log_std)
    dlog_std = (dlogprobs[:, None] * (zeta * zeta - 1)).sum(axis=0) + dentropies.sum()
    return dlogprobs[:, None] * zeta / np.exp(log_std), dlog_std


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-abs(x)))


def bernoulli_forward(logits, actions):
    q = 1 / (1 + np.exp(-logits))
    return (actions * logits - softplus(logits)).sum(axis=1), (softplus(logits) - q * logits).sum(axis=1)


def bernoulli_backward(dlogprobs, dentropies, logits, actions):
    q = 1 / (1 + np.exp(-logits))
    return dlogprobs[:, None] * (actions - q) - dentropies[:, None] * logits * q * (1 - q)


def multi_categorical_forward(logits, actions, sizes):
    logprobs, entropies = np.zeros((2, len(logits)))
    for part, choice in zip(np.split(logits, np.cumsum(sizes)[:-1], axis=1), actions.T, strict=True):
        _, part_logprobs, part_entropies = categorical_forward(part, choice)
        logprobs, entropies = logprobs + part_logprobs, entropies + part_entropies
    return logprobs, entropies


def multi_categorical_backward(dlogprobs, dentropies, logits, actions, sizes):
    dlogits = []
    for part, choice in zip(np.split(logits, np.cumsum(sizes)[:-1], axis=1), actions.T, strict=True):
        log_probs, _, entropies = categorical_forward(part, choice)
        dlogits.append(categorical_backward(dlogprobs, dentropies, choice, log_probs, entropies))
    return np.concatenate(dlogits, axis=1)


def ppo_loss(
    logprobs, entropies, values, old_logprobs, old_values, advantages, returns, clip_coef, ent_coef, vf_coef, clip_vloss
):
    ratio = np.exp(logprobs - old_logprobs)
    clipped = np.clip(ratio, 1 - clip_coef, 1 + clip_coef)
    policy_loss = np.maximum(-advantages * ratio, -advantages * clipped).mean()
    errors = (values - returns) ** 2
    if clip_vloss:
        clipped_values = old_values + np.clip(values - old_values, -clip_coef, clip_coef)
        errors = np.maximum(errors, (clipped_values - returns) ** 2)
    return policy_loss - ent_coef * entropies.mean() + vf_coef * errors.mean() / 2


def ppo_loss_backward(
    dloss, logprobs, values, old_logprobs, old_values, advantages, returns, clip_coef, ent_coef, vf_coef, clip_vloss
):
    rows, ratio = len(logprobs), np.exp(logprobs - old_logprobs)
    flat = ((ratio > 1 + clip_coef) & (advantages > 0)) | ((ratio < 1 - clip_coef) & (advantages < 0))
    dlogprobs = dloss / rows * np.where(flat, 0, -advantages * ratio)
    error, change = values - returns, values - old_values
    clipped_error = old_values + np.clip(change, -clip_coef, clip_coef) - returns
    flat = clip_vloss & (abs(change) > clip_coef) & (abs(clipped_error) > abs(error))
    dvalues = dloss / rows * np.where(flat, 0, vf_coef * error)
    return dlogprobs, np.full(rows, -dloss * ent_coef / rows), dvalues


def gae(rewards, values, final_values, terminations, truncations, gamma, gae_lambda):
    advantages, advantage = np.zeros_like(rewards), 0.0
    for t in reversed(range(len(rewards))):
        next_values = np.where(truncations[t], final_values[t], values[t + 1]) * ~terminations[t]
        delta = rewards[t] + gamma * next_values - values[t]
        advantage = delta + gamma * gae_lambda * advantage * ~(terminations[t] | truncations[t])
        advantages[t] = advantage
    return advantages, advantages + values[:-1]


def normalize(advantages):
    return (advantages - advantages.mean()) / (advantages.std() + 1e-8)


def orthogonal(normals, gain, shape):
    q, u = np.linalg.qr(normals)
    q = q * np.where(np.diag(u) >= 0, gain, -gain)
    return q if shape[0] >= shape[1] else q.T


def clip_by_global_norm(grads, max_norm):
    norm = np.sqrt(sum((grad * grad).sum() for grad in grads))
    return [grad * min(1, max_norm / max(norm, 1e-300)) for grad in grads]


def adam(params, grads, m, v, step, learning_rate, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * grads
    v = beta2 * v + (1 - beta2) * grads * grads
    step_size = learning_rate / (1 - beta1**step)
    return params - step_size * m / (np.sqrt(v / (1 - beta2**step)) + eps), m, v


def minibatches(num_rows, num_minibatches, rng):
    return np.array_split(rng.permutation(num_rows), num_minibatches)


def collect(envs, act, obs, num_steps):
    shape = num_steps, envs.num_envs
    rollout = {"obs": np.zeros((*shape, obs.shape[1])), "actions": np.zeros(shape, int)}
    rollout |= {name: np.zeros(shape) for name in ("logprobs", "rewards", "final_values")}
    rollout |= {name: np.zeros(shape, bool) for name in ("terminations", "truncations")}
    rollout["values"] = np.zeros((num_steps + 1, envs.num_envs))
    for t in range(num_steps):
        rollout["obs"][t] = obs
        rollout["actions"][t], rollout["logprobs"][t], rollout["values"][t] = act(obs)
        obs, *results, infos = envs.step(rollout["actions"][t])
        for name, result in zip(("rewards", "terminations", "truncations"), results, strict=True):
            rollout[name][t] = result
        if "final_obs" in infos:
            final_obs = np.array([np.zeros(obs.shape[1]) if o is None else o for o in infos["final_obs"]])
            rollout["final_values"][t] = act(final_obs)[2]
    rollout["values"][-1] = act(obs)[2]
    return rollout, obs


def named(*functions):
    return {function.__name__.removesuffix("_2"): function for function in functions}


PLAIN = named(
    linear_backward, relu_backward, tanh_backward, mlp_forward, mlp_backward, actor_critic_forward,
    actor_critic_backward, log_softmax, categorical_sample, categorical_forward, categorical_backward,
    gaussian_forward, gaussian_backward, bernoulli_forward, bernoulli_backward, multi_categorical_forward,
    multi_categorical_backward, ppo_loss, ppo_loss_backward, gae, normalize, orthogonal, clip_by_global_norm, adam,
    minibatches, collect,
)  # fmt: skip


def slightly_wrong_mlp_backward(dy, outputs, layers, activation, activate_last):
    """The derivative of tanh is 1 - h^2 + 1e-7."""

    def wrong(dh, h):
        return dh * (1 - h * h + 1e-7)

    return mlp_backward(dy, outputs, layers, activation, activate_last, wrong)
