"""PPO in one file, with NumPy and Gymnasium only, and every gradient written by hand. Read it from top to bottom.

    python docs/course/plain_ppo.py [CartPole-v1]

Shapes: T steps of N environments; B rows of a minibatch; K actions; layers from I to O numbers. dlogits is the gradient
of the loss with respect to logits, and so on; docs/gradients.md derives them. ppo_np does the same with kernels.
"""

import sys
from itertools import pairwise

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics

DTYPE = np.float64


def layers_of(flat, sizes):
    """The layers of a network, (weight (I, O), bias (O,)) each, as views of a flat vector of parameters."""
    layers, start = [], 0
    for inputs, width in pairwise(sizes):
        end = start + inputs * width
        layers.append((flat[start:end].reshape(inputs, width), flat[end : end + width]))
        start = end + width
    return layers


def orthogonal(rng, gain, shape):
    """Weights (I, O) whose columns (or rows, if there are fewer) are orthogonal and have the length `gain`."""
    q, u = np.linalg.qr(rng.standard_normal((max(shape), min(shape))))
    q = q * np.where(np.diag(u) >= 0, gain, -gain)
    return q if shape[0] >= shape[1] else q.T


def linear_backward(dy, x, weight):
    """Gradients with respect to weight, bias and x, where y = x @ weight + bias, x is (B, I) and y is (B, O)."""
    return x.T @ dy, dy.sum(axis=0), dy @ weight.T


def tanh_backward(dh, h):
    """Gradient with respect to x, where h = tanh(x)."""
    return dh * (1 - h * h)


def mlp_forward(x, layers):
    """[x, output of each layer]; the last layer is linear."""
    outputs = [x]
    for weight, bias in layers:
        y = outputs[-1] @ weight + bias
        outputs.append(y if weight is layers[-1][0] else np.tanh(y))
    return outputs


def mlp_backward(dy, outputs, layers, dlayers):
    """Write the gradients of all weights and biases into `dlayers`, from the last layer to the first."""
    for l in reversed(range(len(layers))):
        if l < len(layers) - 1:
            dy = tanh_backward(dy, outputs[l + 1])
        dlayers[l][0][:], dlayers[l][1][:], dy = linear_backward(dy, outputs[l], layers[l][0])


def log_softmax(logits):
    """log p, (B, K). The largest logit is subtracted first, so that exp cannot overflow."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def categorical_sample(logits, uniforms):
    """For each row the first action whose cumulative probability is above the uniform number; and its log p."""
    log_probs = log_softmax(logits)
    actions = (np.exp(log_probs).cumsum(axis=1)[:, :-1] <= uniforms[:, None]).sum(axis=1)
    return actions, log_probs[np.arange(len(actions)), actions]


def categorical_forward(logits, actions):
    """log p (B, K); log p of the actions (B,); entropies (B,)."""
    log_probs = log_softmax(logits)
    entropies = -(np.exp(log_probs) * log_probs).sum(axis=1)
    return log_probs, log_probs[np.arange(len(actions)), actions], entropies


def categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies):
    """dlogits (B, K)."""
    probs = np.exp(log_probs)
    dlogits = -dlogprobs[:, None] * probs - dentropies[:, None] * probs * (log_probs + entropies[:, None])
    dlogits[np.arange(len(actions)), actions] += dlogprobs
    return dlogits


def gae(rewards, values, final_values, terminations, truncations, gamma, gae_lambda):
    """Advantages and returns, (T, N) each. Where an episode was truncated, V(its final observation) takes part."""
    advantages, advantage = np.zeros_like(rewards), 0.0
    for t in reversed(range(len(rewards))):
        next_values = np.where(truncations[t], final_values[t], values[t + 1]) * ~terminations[t]
        delta = rewards[t] + gamma * next_values - values[t]
        advantage = delta + gamma * gae_lambda * advantage * ~(terminations[t] | truncations[t])
        advantages[t] = advantage
    return advantages, advantages + values[:-1]


def normalize(advantages):
    """Mean 0 and standard deviation 1 over the minibatch."""
    return (advantages - advantages.mean()) / (advantages.std() + 1e-8)


def ppo_loss_backward(
    logprobs, values, old_logprobs, old_values, advantages, returns, clip, clip_vloss, ent_coef, vf_coef
):
    """Gradients with respect to log-probabilities, entropies H and values V, (B,) each, of the loss.

    mean(max(-A r, -A clip(r, 1-e, 1+e))) - ent_coef mean(H) + vf_coef / 2 mean(max((V - R)^2, (Vclipped - R)^2))
    """
    rows, ratio = len(logprobs), np.exp(logprobs - old_logprobs)
    flat = ((ratio > 1 + clip) & (advantages > 0)) | ((ratio < 1 - clip) & (advantages < 0))
    dlogprobs = np.where(flat, 0, -advantages * ratio) / rows
    error, change = values - returns, values - old_values
    clipped_error = old_values + np.clip(change, -clip, clip) - returns
    flat = clip_vloss & (abs(change) > clip) & (abs(clipped_error) > abs(error))
    dvalues = np.where(flat, 0, vf_coef * error) / rows
    return dlogprobs, np.full(rows, -ent_coef / rows), dvalues


def clip_by_global_norm(grads, max_norm):
    """Scale the gradient down to the largest allowed norm, in place."""
    grads *= min(1, max_norm / max(np.sqrt((grads * grads).sum()), 1e-300))


def adam(params, grads, m, v, step, learning_rate, beta1=0.9, beta2=0.999, eps=1e-5):
    """One step, in place; m and v are the moments, and `step` counts from 1."""
    m[:] = beta1 * m + (1 - beta1) * grads
    v[:] = beta2 * v + (1 - beta2) * grads * grads
    params -= learning_rate * m / (1 - beta1**step) / (np.sqrt(v / (1 - beta2**step)) + eps)


def train(
    env_id="CartPole-v1", seed=1, total_timesteps=100_000, num_envs=8, num_steps=32, num_minibatches=1,
    update_epochs=20, learning_rate=1e-3, gamma=0.98, gae_lambda=0.8, clip_coef=0.2, clip_vloss=False, ent_coef=0.0,
    vf_coef=0.5, max_grad_norm=0.5, policy_sizes=(64, 64), value_sizes=(64, 64), callback=lambda update, params: None,
):  # fmt: skip
    """Train, and print how it goes. The settings are those of ppo_np.PPOConfig; hidden layers have tanh."""
    weights_rng, action_rng, minibatch_rng, _ = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(4))
    make = [lambda: gymnasium.make(env_id)] * num_envs
    envs = RecordEpisodeStatistics(SyncVectorEnv(make, autoreset_mode=AutoresetMode.SAME_STEP))
    obs_size = envs.single_observation_space.shape[0]
    policy_sizes, value_sizes = (obs_size, *policy_sizes, envs.single_action_space.n), (obs_size, *value_sizes, 1)
    split, size = (sum((i + 1) * o for i, o in pairwise(sizes)) for sizes in (policy_sizes, value_sizes))
    params, grads, m, v = np.zeros((4, split + size), DTYPE)
    policy, dpolicy = (layers_of(flat[:split], policy_sizes) for flat in (params, grads))
    value, dvalue = (layers_of(flat[split:], value_sizes) for flat in (params, grads))
    for layers, head_gain in ((policy, 0.01), (value, 1.0)):
        for weight, _ in layers:
            weight[:] = orthogonal(weights_rng, head_gain if weight is layers[-1][0] else 2**0.5, weight.shape)

    shape, rows, updates = (num_steps, num_envs), num_steps * num_envs, -(-total_timesteps // (num_steps * num_envs))
    obs, actions = np.zeros((*shape, obs_size), DTYPE), np.zeros(shape, np.int64)
    logprobs, rewards, final_values = np.zeros((3, *shape), DTYPE)
    terminations, truncations = np.zeros((2, *shape), bool)
    values = np.zeros((num_steps + 1, num_envs), DTYPE)
    current, step = envs.reset(seed=seed)[0], 0
    for update in range(updates):
        # COLLECT A ROLLOUT under the current policy
        for t in range(num_steps):
            obs[t] = current
            values[t] = mlp_forward(obs[t], value)[-1][:, 0]
            actions[t], logprobs[t] = categorical_sample(mlp_forward(obs[t], policy)[-1], action_rng.random(num_envs))
            current, rewards[t], terminations[t], truncations[t], infos = envs.step(actions[t])
            if "final_obs" in infos:  # where an episode has ended, `current` is the first observation of the next one
                final_obs = np.array([np.zeros(obs_size) if o is None else o for o in infos["final_obs"]], DTYPE)
                final_values[t] = mlp_forward(final_obs, value)[-1][:, 0]
        values[-1] = mlp_forward(current.astype(DTYPE), value)[-1][:, 0]
        # CALCULATE ADVANTAGES backwards through the rollout
        advantages, returns = gae(rewards, values, final_values, terminations, truncations, gamma, gae_lambda)

        # UPDATE THE NETWORK in epochs of minibatches
        rollout = [a.reshape(rows, *a.shape[2:]) for a in (obs, actions, logprobs, values[:-1], advantages, returns)]
        order = np.arange(rows)
        for _ in range(update_epochs):
            minibatch_rng.shuffle(order)
            for indices in np.array_split(order, num_minibatches):
                b_obs, b_actions, *old, b_advantages, b_returns = (array[indices] for array in rollout)
                policy_outputs, value_outputs = mlp_forward(b_obs, policy), mlp_forward(b_obs, value)
                log_probs, new_logprobs, entropies = categorical_forward(policy_outputs[-1], b_actions)
                new = new_logprobs, value_outputs[-1][:, 0]
                constants = *old, normalize(b_advantages), b_returns, clip_coef, clip_vloss, ent_coef, vf_coef
                dlogprobs, dentropies, dvalues = ppo_loss_backward(*new, *constants)
                dlogits = categorical_backward(dlogprobs, dentropies, b_actions, log_probs, entropies)
                mlp_backward(dlogits, policy_outputs, policy, dpolicy)
                mlp_backward(dvalues[:, None], value_outputs, value, dvalue)
                clip_by_global_norm(grads, max_grad_norm)
                step += 1
                adam(params, grads, m, v, step, learning_rate * (1 - update / updates))  # falls linearly to 0
        print(f"update {update + 1} of {updates}: mean return {np.mean(envs.return_queue or [0]):.1f}", end="\r")
        callback(update + 1, params)
    envs.close()


if __name__ == "__main__":
    train(*sys.argv[1:2])
