"""Lesson 13: the whole loss, and a network whose two heads share a trunk.

B rows, D numbers in an observation, K actions. A network is three lists of layers, as in lesson 4: shared, policy and
value. The activation follows every layer of the trunk; it does not follow the last layer of policy and value. The
trunk's last output h is the input of both.
"""

import numpy as np
from lesson04_mlp import mlp_backward, mlp_forward
from lesson11_surrogate import policy_loss, policy_loss_backward
from lesson12_value_loss import value_loss, value_loss_backward


def ppo_loss(
    logprobs, entropies, values, old_logprobs, old_values, advantages, returns, clip_coef, ent_coef, vf_coef, clip_vloss
):
    """The loss of PPO: policy loss, minus the mean entropy times ent_coef, plus the value loss times vf_coef.

    L = L_pi - c_H mean_b H_b + c_V L_V

    Args:
        logprobs, entropies, values: log pi, H and V with the current parameters, (B,) each.
        old_logprobs, old_values: log pi_old and V_old, from the rollout, (B,) each.
        advantages, returns: A and R, (B,) each.
        clip_coef: epsilon > 0, for the ratio and for the value.
        ent_coef, vf_coef: c_H and c_V, >= 0.
        clip_vloss: whether to clip the value.

    Returns:
        The loss, a number.
    """
    policy = policy_loss(logprobs, old_logprobs, advantages, clip_coef)
    value = value_loss(values, old_values, returns, clip_coef, clip_vloss)
    return policy - ent_coef * entropies.mean() + vf_coef * value


def ppo_loss_backward(
    dloss, logprobs, values, old_logprobs, old_values, advantages, returns, clip_coef, ent_coef, vf_coef, clip_vloss
):
    """Gradient of the loss with respect to the log-probabilities, the entropies and the values.

    Args:
        dloss: upstream gradient of the loss, a number.
        logprobs ... clip_vloss: as in the forward pass.

    Returns:
        dlogprobs, dentropies, dvalues, (B,) each.
    """
    dlogprobs = policy_loss_backward(dloss, logprobs, old_logprobs, advantages, clip_coef)
    dentropies = -dloss * ent_coef / len(logprobs) * np.ones(len(logprobs))
    dvalues = value_loss_backward(dloss * vf_coef, values, old_values, returns, clip_coef, clip_vloss)
    return dlogprobs, dentropies, dvalues


def actor_critic_forward(obs, shared, policy, value, activation):
    """Outputs of the policy head and of the value head.

    Args:
        obs: (B, D).
        shared, policy, value: lists of layers (weight, bias); shared may be empty: then h = obs.
        activation: "relu" or "tanh".

    Returns:
        logits (B, K); values (B,): the only column of the value head; and outputs, three lists as mlp_forward returns
        them: (shared_outputs, policy_outputs, value_outputs). Without a trunk, shared_outputs is [obs].
    """
    shared_outputs = mlp_forward(obs, shared, activation, True)
    features = shared_outputs[-1]
    policy_outputs = mlp_forward(features, policy, activation, False)
    value_outputs = mlp_forward(features, value, activation, False)
    return policy_outputs[-1], value_outputs[-1][:, 0], (shared_outputs, policy_outputs, value_outputs)


def actor_critic_backward(dlogits, dvalues, outputs, shared, policy, value, activation):
    """Gradient of the loss with respect to the parameters of the trunk and of both heads.

    Args:
        dlogits: upstream gradient of the logits, (B, K).
        dvalues: upstream gradient of the values, (B,).
        outputs: from the forward pass.
        shared, policy, value, activation: as in the forward pass.

    Returns:
        dshared, dpolicy, dvalue: a list of (dweight, dbias) each.
    """
    shared_outputs, policy_outputs, value_outputs = outputs
    dpolicy, dfeatures_policy = mlp_backward(dlogits, policy_outputs, policy, activation, False)
    dvalue, dfeatures_value = mlp_backward(dvalues[:, None], value_outputs, value, activation, False)
    dfeatures = dfeatures_policy + dfeatures_value
    dshared, _ = mlp_backward(dfeatures, shared_outputs, shared, activation, True)
    return dshared, dpolicy, dvalue
