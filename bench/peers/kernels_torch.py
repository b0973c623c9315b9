"""Kernels in torch, eagerly, with the kernels' names and arguments; outputs are written where the kernel writes them.

Gradients are written out, as the kernels' are: autograd would run the forward pass as well.
"""

import math
from collections.abc import Callable

import numpy as np
import torch

torch.set_num_threads(1)


def bound(version: Callable, arguments: tuple) -> Callable[[], object]:
    """A call on tensors of its own; it returns them all, unless the version returns a number."""
    own = tuple(torch.from_numpy(one.copy()) if isinstance(one, np.ndarray) else one for one in arguments)

    def call():
        returned = version(*own)
        return own if returned is None else returned

    return call


def linear_forward(x, weight, bias, y):
    torch.addmm(bias, x, weight, out=y)


def linear_backward_parameters(dy, x, dweight, dbias):
    torch.mm(x.T, dy, out=dweight)
    torch.sum(dy, 0, out=dbias)


def linear_backward_input(dy, weight, dx):
    torch.mm(dy, weight.T, out=dx)


def relu_forward(h):
    torch.relu_(h)


def relu_backward(dh, h):
    dh.copy_(torch.ops.aten.threshold_backward(dh, h, 0))


def tanh_forward(h):
    torch.tanh_(h)


def tanh_backward(dh, h):
    dh.copy_(torch.ops.aten.tanh_backward(dh, h))


def log_softmax(logits, log_probs):
    torch.log_softmax(logits, 1, out=log_probs)


def categorical_forward(logits, actions, log_probs, logprobs, entropies):
    torch.log_softmax(logits, 1, out=log_probs)
    logprobs.copy_(log_probs.gather(1, actions[:, None])[:, 0])
    torch.sum(log_probs.exp() * -log_probs, 1, out=entropies)


def categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies, dlogits):
    columns = dlogprobs[:, None] + dentropies[:, None] * (log_probs + entropies[:, None])
    torch.mul(-log_probs.exp(), columns, out=dlogits)
    dlogits.scatter_add_(1, actions[:, None], dlogprobs[:, None])


def ppo_loss(
    logprobs, entropies, values, old_logprobs, old_values, advantages, returns, clip_coef, ent_coef, vf_coef, clip_vloss
):
    """The six terms, as CleanRL writes them; the loss, which is the first one, can be differentiated."""
    log_ratio = logprobs - old_logprobs
    ratio = log_ratio.exp()
    policy_loss = -torch.min(advantages * ratio, advantages * ratio.clamp(1 - clip_coef, 1 + clip_coef)).mean()
    squares = (values - returns) ** 2
    if clip_vloss:
        clipped_values = old_values + (values - old_values).clamp(-clip_coef, clip_coef)
        squares = torch.max(squares, (clipped_values - returns) ** 2)
    value_loss, entropy = 0.5 * squares.mean(), entropies.mean()
    loss = policy_loss - ent_coef * entropy + vf_coef * value_loss
    with torch.no_grad():
        approx_kl, clipfrac = (ratio - 1 - log_ratio).mean(), ((ratio - 1).abs() > clip_coef).float().mean()
    return loss, policy_loss, value_loss, entropy, approx_kl, clipfrac


def ppo_loss_forward(*arguments):
    *given, terms = arguments
    terms.copy_(torch.stack(ppo_loss(*given)))


def normalize(advantages, normalized):
    std, mean = torch.std_mean(advantages, correction=0)
    torch.div(advantages - mean, std + 1e-8, out=normalized)


def global_norm(grads):
    return torch.linalg.vector_norm(grads).item()


def clip_by_global_norm(grads, norm, max_norm):
    if norm > max_norm:
        grads.mul_(max_norm / norm)


def adam(params, grads, m, v, step, learning_rate, beta1, beta2, eps):
    """With torch's in-place operations, as its optimiser does for one tensor."""
    m.lerp_(grads, 1 - beta1)
    v.mul_(beta2).addcmul_(grads, grads, value=1 - beta2)
    denominator = v.sqrt().div_(math.sqrt(1 - beta2**step)).add_(eps)
    params.addcdiv_(m, denominator, value=-learning_rate / (1 - beta1**step))
