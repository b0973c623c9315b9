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
    """One fused call."""
    torch.addmm(bias, x, weight, out=y)


def linear_backward_parameters(dy, x, dweight, dbias):
    """A product and a sum."""
    torch.mm(x.T, dy, out=dweight)
    torch.sum(dy, 0, out=dbias)


def linear_backward_input(dy, weight, dx):
    """A product."""
    torch.mm(dy, weight.T, out=dx)


def relu_forward(h):
    """In place."""
    torch.relu_(h)


def relu_backward(dh, h):
    """What autograd calls, and the copy into dh."""
    dh.copy_(torch.ops.aten.threshold_backward(dh, h, 0))


def tanh_forward(h):
    """In place."""
    torch.tanh_(h)


def tanh_backward(dh, h):
    """What autograd calls, and the copy into dh."""
    dh.copy_(torch.ops.aten.tanh_backward(dh, h))


def log_softmax(logits, log_probs):
    """One call."""
    torch.log_softmax(logits, 1, out=log_probs)


def categorical_forward(logits, actions, log_probs, logprobs, entropies):
    """Log-softmax, the actions' entries, the entropy."""
    torch.log_softmax(logits, 1, out=log_probs)
    logprobs.copy_(log_probs.gather(1, actions[:, None])[:, 0])
    torch.sum(log_probs.exp() * -log_probs, 1, out=entropies)


def categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies, dlogits):
    """The terms of all actions, then the one of the action taken."""
    columns = dlogprobs[:, None] + dentropies[:, None] * (log_probs + entropies[:, None])
    torch.mul(-log_probs.exp(), columns, out=dlogits)
    dlogits.scatter_add_(1, actions[:, None], dlogprobs[:, None])


def ppo_loss_forward(
    logprobs, entropies, values, old_logprobs, old_values, advantages, returns,
    clip_coef, ent_coef, vf_coef, clip_vloss, terms,
):  # fmt: skip
    """As CleanRL writes it."""
    log_ratio = logprobs - old_logprobs
    ratio = log_ratio.exp()
    policy_loss = -torch.min(advantages * ratio, advantages * ratio.clamp(1 - clip_coef, 1 + clip_coef)).mean()
    squares = (values - returns) ** 2
    if clip_vloss:
        clipped_values = old_values + (values - old_values).clamp(-clip_coef, clip_coef)
        squares = torch.max(squares, (clipped_values - returns) ** 2)
    value_loss, entropy = 0.5 * squares.mean(), entropies.mean()
    loss = policy_loss - ent_coef * entropy + vf_coef * value_loss
    clipfrac = ((ratio - 1).abs() > clip_coef).float().mean()
    terms.copy_(torch.stack((loss, policy_loss, value_loss, entropy, (ratio - 1 - log_ratio).mean(), clipfrac)))


def ppo_loss_backward(
    dloss, logprobs, values, old_logprobs, old_values, advantages, returns,
    clip_coef, ent_coef, vf_coef, clip_vloss, dlogprobs, dentropies, dvalues,
):  # fmt: skip
    """The gradient of all rows, set to zero where the loss is flat."""
    scale = dloss / len(logprobs)
    ratio = (logprobs - old_logprobs).exp()
    flat = ((ratio > 1 + clip_coef) & (advantages > 0)) | ((ratio < 1 - clip_coef) & (advantages < 0))
    torch.mul(-scale * advantages, ratio, out=dlogprobs).masked_fill_(flat, 0)
    dentropies.fill_(-scale * ent_coef)
    errors = values - returns
    torch.mul(errors, scale * vf_coef, out=dvalues)
    if clip_vloss:
        moved = values - old_values
        clipped_errors = old_values + moved.clamp(-clip_coef, clip_coef) - returns
        dvalues.masked_fill_((moved.abs() > clip_coef) & (clipped_errors.abs() > errors.abs()), 0)


def normalize(advantages, normalized):
    """With 1/B, as the kernel."""
    std, mean = torch.std_mean(advantages, correction=0)
    torch.div(advantages - mean, std + 1e-8, out=normalized)


def global_norm(grads):
    """torch's own norm, of one flat tensor."""
    return torch.linalg.vector_norm(grads).item()


def clip_by_global_norm(grads, norm, max_norm):
    """Scale in place if need be."""
    if norm > max_norm:
        grads.mul_(max_norm / norm)


def adam(params, grads, m, v, step, learning_rate, beta1, beta2, eps):
    """Written out with torch's in-place operations, as its optimiser does for one tensor."""
    m.lerp_(grads, 1 - beta1)
    v.mul_(beta2).addcmul_(grads, grads, value=1 - beta2)
    denominator = v.sqrt().div_(math.sqrt(1 - beta2**step)).add_(eps)
    params.addcdiv_(m, denominator, value=-learning_rate / (1 - beta1**step))
