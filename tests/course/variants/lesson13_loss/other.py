import numpy as np
from lesson04_mlp import mlp_backward, mlp_forward
from lesson11_surrogate import policy_loss, policy_loss_backward
from lesson12_value_loss import value_loss, value_loss_backward


def ppo_loss(
    logprobs, entropies, values, old_logprobs, old_values, advantages, returns, clip_coef, ent_coef, vf_coef, clip_vloss
):
    bonus = ent_coef * entropies.sum() / entropies.size
    critic = vf_coef * value_loss(values, old_values, returns, clip_coef, clip_vloss)
    return critic + policy_loss(logprobs, old_logprobs, advantages, clip_coef) - bonus


def ppo_loss_backward(
    dloss, logprobs, values, old_logprobs, old_values, advantages, returns, clip_coef, ent_coef, vf_coef, clip_vloss
):
    share = dloss / len(logprobs)
    return (
        policy_loss_backward(dloss, logprobs, old_logprobs, advantages, clip_coef),
        -ent_coef * share * np.ones_like(logprobs),
        vf_coef * value_loss_backward(dloss, values, old_values, returns, clip_coef, clip_vloss),
    )


def actor_critic_forward(obs, shared, policy, value, activation):
    trunk = mlp_forward(obs, shared, activation, True)
    one, two = mlp_forward(trunk[-1], policy, activation, False), mlp_forward(trunk[-1], value, activation, False)
    return one[-1], two[-1][..., 0], (trunk, one, two)


def actor_critic_backward(dlogits, dvalues, outputs, shared, policy, value, activation):
    """The trunk's gradient is linear in the upstream gradient, so it can be taken twice and added."""
    trunk, one, two = outputs
    dpolicy, first = mlp_backward(dlogits, one, policy, activation, False)
    dvalue, second = mlp_backward(dvalues.reshape(len(dvalues), 1), two, value, activation, False)
    halves = [mlp_backward(dh, trunk, shared, activation, True)[0] for dh in (first, second)]
    dshared = [(a[0] + b[0], a[1] + b[1]) for a, b in zip(*halves, strict=True)]
    return dshared, dpolicy, dvalue


PLANT = {
    "no-vf-coef": ("vf_coef * value_loss_backward(dloss,", "value_loss_backward(dloss,"),
    "no-value-at-fork": ("(a[0] + b[0], a[1] + b[1])", "(a[0] + 0 * b[0], a[1] + 0 * b[1])"),
    "trunk-not-activated-forward": (
        "trunk = mlp_forward(obs, shared, activation, True)",
        "trunk = mlp_forward(obs, shared, activation, False)",
    ),
}
