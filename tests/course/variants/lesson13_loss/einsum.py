import numpy as np
from lesson02_activations import relu_backward, tanh_backward
from lesson03_linear import linear_backward
from lesson04_mlp import mlp_forward
from lesson11_surrogate import policy_loss, policy_loss_backward
from lesson12_value_loss import value_loss, value_loss_backward


def ppo_loss(
    logprobs, entropies, values, old_logprobs, old_values, advantages, returns, clip_coef, ent_coef, vf_coef, clip_vloss
):
    terms = [
        policy_loss(logprobs, old_logprobs, advantages, clip_coef),
        np.einsum("b->", entropies) / len(entropies),
        value_loss(values, old_values, returns, clip_coef, clip_vloss),
    ]
    return np.einsum("t,t->", np.array([1, -ent_coef, vf_coef]), np.array(terms))


def ppo_loss_backward(
    dloss, logprobs, values, old_logprobs, old_values, advantages, returns, clip_coef, ent_coef, vf_coef, clip_vloss
):
    dvalues = dloss * vf_coef * value_loss_backward(1.0, values, old_values, returns, clip_coef, clip_vloss)
    dlogprobs = dloss * policy_loss_backward(1.0, logprobs, old_logprobs, advantages, clip_coef)
    return dlogprobs, np.full(len(values), -ent_coef / len(values)) * dloss, dvalues


def actor_critic_forward(obs, shared, policy, value, activation):
    trunk = mlp_forward(obs, shared, activation, True)
    policy_outputs = mlp_forward(trunk[-1], policy, activation, False)
    value_outputs = mlp_forward(trunk[-1], value, activation, False)
    return policy_outputs[-1], np.einsum("bi->b", value_outputs[-1]), (trunk, policy_outputs, value_outputs)


def _back(dy, outputs, layers, activation, last):
    slope = relu_backward if activation == "relu" else tanh_backward
    gradients = []
    for l in reversed(range(len(layers))):
        if last or l < len(layers) - 1:
            dy = slope(dy, outputs[l + 1])
        dweight, dbias, dy = linear_backward(dy, outputs[l], layers[l][0])
        gradients = [(dweight, dbias), *gradients]
    return gradients, dy


def actor_critic_backward(dlogits, dvalues, outputs, shared, policy, value, activation):
    dvalue, from_value = _back(np.expand_dims(dvalues, 1), outputs[2], value, activation, False)
    dpolicy, from_policy = _back(dlogits, outputs[1], policy, activation, False)
    dshared, _ = _back(np.add(from_value, from_policy), outputs[0], shared, activation, True)
    return dshared, dpolicy, dvalue


PLANT = {
    "entropy-sum": ("np.full(len(values), -ent_coef / len(values))", "np.full(len(values), -ent_coef)"),
    "no-value-at-fork": ("np.add(from_value, from_policy)", "from_policy"),
    "mean-at-fork": ("np.add(from_value, from_policy)", "np.add(from_value, from_policy) / 2"),
}
