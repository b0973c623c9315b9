"""Wrong gradients, planted on purpose to show how the gradient check reports them.

While `planted` is active, a bug replaces one function of the backward pass; the kernels stay as they are. It is called
as bug(right, a): `right()` computes the right gradient, and `a` holds the arguments by name.
"""

import inspect
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np

from ppo_np.checking.continuous_bugs import CONTINUOUS_BUGS
from ppo_np.config import PPOConfig
from ppo_np.errors import UserError

Right = Callable[[], None]
Arguments = SimpleNamespace
Bug = Callable[[Right, Arguments], None]
Function = Callable[[np.ndarray], np.ndarray]
Needs = tuple[str, Callable[[PPOConfig], object]]

# The places of bugs: where the replaced function is looked up, and its name there.
LOSS = ("ppo_np.network.model", "ppo_loss_backward")
CATEGORICAL = ("ppo_np.network.distributions", "categorical_backward")
BERNOULLI = ("ppo_np.network.distributions", "bernoulli_backward")
GAUSSIAN = ("ppo_np.network.distributions", "gaussian_backward")
LAYERS = ("ppo_np.network.model", "mlp_backward")
NETWORK = ("ppo_np.network.model:ActorCritic", "backward")

# The settings with which a bug changes the gradient: in words, and as a condition.
NEEDS_ENTROPY = ("ent_coef > 0", lambda c: c.ent_coef > 0)
NEEDS_VALUE = ("vf_coef > 0", lambda c: c.vf_coef > 0)
NEEDS_VALUE_CLIP = ("vf_coef > 0 and clip_vloss", lambda c: c.vf_coef > 0 and c.clip_vloss)
NEEDS_VALUE_CLIP_COEF = (
    "vf_coef > 0, clip_vloss and another value_clip_coef than clip_coef",
    lambda c: c.vf_coef > 0 and c.clip_vloss and c.value_clip != c.clip_coef,
)
NEEDS_FORK = ("vf_coef > 0 and shared layers", lambda c: c.vf_coef > 0 and c.shared_sizes)
NEEDS_TRUNK = ("shared layers", lambda c: c.shared_sizes)
NEEDS_RELU = ("activation relu and a hidden layer", lambda c: c.activation == "relu" and any(_towers(c)))
NEEDS_TANH = ("activation tanh and a hidden layer", lambda c: c.activation == "tanh" and any(_towers(c)))
NEEDS_SQUARE = ("two equal hidden layers in a row", lambda c: any(i == o for s in _towers(c) for i, o in pairwise(s)))


def _towers(config: PPOConfig) -> tuple[tuple[int, ...], ...]:
    return config.shared_sizes, config.policy_sizes, config.value_sizes


@dataclass(frozen=True)
class PlantedBug:
    """A mistake in the backward pass.

    Attributes:
        description: the mistake, in one sentence.
        wrong: the function bug(right, a).
        place: the function that it replaces.
        needs: the settings with which it changes the gradient; None if it always does.
    """

    description: str
    wrong: Bug
    place: tuple[str, str]
    needs: Needs | None


BUGS: dict[str, PlantedBug] = {}


def _bug(place: tuple[str, str], needs: Needs | None = None) -> Callable[[Bug], Bug]:
    """Add the decorated function to `BUGS`, under its name and with its docstring as the description."""

    def add(wrong: Bug) -> Bug:
        BUGS[wrong.__name__.replace("_", "-")] = PlantedBug(wrong.__doc__ or "", wrong, place, needs)
        return wrong

    return add


@contextmanager
def planted(name: str, config: PPOConfig) -> Iterator[None]:
    """A context in which the backward pass has this bug.

    Raises UserError if there is no bug of this name, or if it makes no difference with these settings.
    """
    if name not in BUGS:
        raise UserError(f"inject is {name!r}, but it must be one of {', '.join(BUGS)}.")
    bug = BUGS[name]
    if bug.needs and not bug.needs[1](config):
        raise UserError(f"inject is {name!r}, but that bug shows only with {bug.needs[0]}.")
    owner, attribute = pkgutil.resolve_name(bug.place[0]), bug.place[1]
    original = getattr(owner, attribute)
    signature = inspect.signature(original)

    def replacement(*arguments: object) -> None:
        bug.wrong(lambda: original(*arguments), SimpleNamespace(**signature.bind(*arguments).arguments))

    with patch.object(owner, attribute, replacement):
        yield


def _ratio(a: SimpleNamespace) -> np.ndarray:
    return np.exp(a.logprobs - a.old_logprobs)


@_bug(LOSS)
def no_ratio(right: Right, a: Arguments) -> None:
    """The surrogate's gradient lacks the ratio: -A/B instead of -A r/B."""
    right()
    a.dlogprobs /= _ratio(a)


@_bug(LOSS)
def no_clip(right: Right, a: Arguments) -> None:
    """The surrogate's gradient is not cut off where the clipped branch is taken."""
    right()
    a.dlogprobs[:] = -a.dloss / len(a.logprobs) * a.advantages * _ratio(a)


@_bug(LOSS)
def clip_both_sides(right: Right, a: Arguments) -> None:
    """The surrogate's gradient is cut off wherever the ratio is out of range, whatever the advantage's sign."""
    right()
    a.dlogprobs[np.abs(_ratio(a) - 1) > a.clip_coef] = 0


@_bug(LOSS)
def swapped_logprobs(right: Right, a: Arguments) -> None:
    """Old and new log-probability are swapped in the surrogate's gradient: 1/r instead of r."""
    ratio = 1 / _ratio(a)
    flat = np.where(a.advantages > 0, ratio > 1 + a.clip_coef, ratio < 1 - a.clip_coef)
    right()
    a.dlogprobs[:] = np.where(flat, 0, -a.dloss / len(ratio) * a.advantages * ratio)


@_bug(LOSS)
def sum_not_mean(right: Right, a: Arguments) -> None:
    """The factor 1/B is missing: the gradient is that of the sum over the minibatch, not of the mean."""
    right()
    for gradient in (a.dlogprobs, a.dentropies, a.dvalues):
        gradient *= len(gradient)


@_bug(LOSS, NEEDS_ENTROPY)
def entropy_sign(right: Right, a: Arguments) -> None:
    """The entropy's gradient has the wrong sign: the bonus becomes a penalty."""
    right()
    a.dentropies *= -1


@_bug(LOSS, NEEDS_VALUE)
def value_doubled(right: Right, a: Arguments) -> None:
    """The value loss is differentiated as (V - R)^2, without its factor 1/2."""
    right()
    a.dvalues *= 2


@_bug(LOSS, NEEDS_VALUE_CLIP)
def no_value_clip(right: Right, a: Arguments) -> None:
    """The value loss's gradient ignores the clipping."""
    right()
    a.dvalues[:] = a.dloss / len(a.values) * a.vf_coef * (a.values - a.returns)


@_bug(LOSS, NEEDS_VALUE_CLIP_COEF)
def value_clip_as_ratio_clip(right: Right, a: Arguments) -> None:
    """The value is clipped with clip_coef instead of value_clip_coef."""
    right()
    error, change = a.values - a.returns, a.values - a.old_values
    clipped_error = a.old_values + np.clip(change, -a.clip_coef, a.clip_coef) - a.returns
    flat = (np.abs(change) > a.clip_coef) & (np.abs(clipped_error) > np.abs(error))
    a.dvalues[:] = np.where(flat, 0, a.dloss / len(a.values) * a.vf_coef * error)


@_bug(CATEGORICAL)
def no_softmax_term(right: Right, a: Arguments) -> None:
    """The derivative of log-softmax is taken as 1[k = a], without the term -p_k."""
    right()
    a.dlogits += a.dlogprobs[:, np.newaxis] * np.exp(a.log_probs)


@_bug(CATEGORICAL, NEEDS_ENTROPY)
def entropy_without_h(right: Right, a: Arguments) -> None:
    """The entropy's derivative with respect to the logits is taken as -p log p instead of -p (log p + H)."""
    right()
    a.dlogits += (a.dentropies * a.entropies)[:, np.newaxis] * np.exp(a.log_probs)


@_bug(CATEGORICAL, NEEDS_ENTROPY)
def entropy_plus_1(right: Right, a: Arguments) -> None:
    """The entropy's derivative with respect to the logits keeps the + 1 of that of p log p: -p (log p + 1 + H)."""
    right()
    a.dlogits -= a.dentropies[:, np.newaxis] * np.exp(a.log_probs)


@_bug(BERNOULLI)
def no_sigmoid_term(right: Right, a: Arguments) -> None:
    """The derivative of a bit's log-probability is taken as x, without the term -q (MultiBinary actions)."""
    right()
    a.dlogits += a.dlogprobs[:, np.newaxis] / (1 + np.exp(-a.logits))


@_bug(GAUSSIAN)
def mean_over_sigma_once(right: Right, a: Arguments) -> None:
    """The derivative with respect to the mean is taken as zeta instead of zeta / sigma (Box actions)."""
    right()
    a.dmeans *= np.exp(a.log_std)


@_bug(GAUSSIAN)
def log_std_without_1(right: Right, a: Arguments) -> None:
    """The log-density's derivative with respect to log sigma is zeta^2, without the term -1 (Box actions)."""
    right()
    a.dlog_std += a.dlogprobs.sum()


@_bug(GAUSSIAN)
def sigma_for_log_sigma(right: Right, a: Arguments) -> None:
    """The gradient is taken with respect to sigma instead of log sigma: a factor sigma is missing (Box actions)."""
    right()
    a.dlog_std /= np.exp(a.log_std)


@_bug(GAUSSIAN)
def no_log_std_gradient(right: Right, a: Arguments) -> None:
    """log sigma gets no gradient: the policy's spread is never learnt (Box actions)."""
    right()
    a.dlog_std[:] = 0


for _place, _needs, _wrong in CONTINUOUS_BUGS:
    _bug(_place, _needs)(_wrong)


@_bug(LAYERS)
def no_bias_gradient(right: Right, a: Arguments) -> None:
    """Biases get no gradient."""
    right()
    for dbias in a.dbiases:
        dbias[:] = 0


@_bug(LAYERS)
def bias_mean(right: Right, a: Arguments) -> None:
    """The bias's gradient is the mean over the rows instead of their sum (the loss has taken the mean already)."""
    right()
    for dbias in a.dbiases:
        dbias /= len(a.x)


@_bug(LAYERS)
def weight_reshaped(right: Right, a: Arguments) -> None:
    """The weight's gradient is computed as dy^T x, (O, I), and reshaped to (I, O) instead of transposed."""
    right()
    for dweight in a.dweights:
        dweight[:] = dweight.T.reshape(dweight.shape)


def _backpropagate(a: Arguments, derivative: Function | None = None, transposed: Function = np.transpose) -> None:
    """`kernels.mlp.mlp_backward` in NumPy; the activation's derivative (from its output) and W^T are replaceable."""
    from kernels.activation import RELU

    derivative = derivative or ((lambda y: y > 0) if a.activation == RELU else (lambda y: 1 - y * y))
    for l in reversed(range(len(a.weights))):
        dz = a.doutputs[l]
        if l < len(a.weights) - 1 or a.activate_last:
            dz *= derivative(a.outputs[l])
        a.dweights[l][:] = (a.outputs[l - 1] if l else a.x).T @ dz
        a.dbiases[l][:] = dz.sum(axis=0)
        if l:
            a.doutputs[l - 1][:] = dz @ transposed(a.weights[l])


@_bug(LAYERS, NEEDS_RELU)
def relu_derivative_1(right: Right, a: Arguments) -> None:
    """ReLU's derivative is taken as 1 everywhere."""
    _backpropagate(a, derivative=np.ones_like)


@_bug(LAYERS, NEEDS_TANH)
def tanh_derivative(right: Right, a: Arguments) -> None:
    """The derivative of tanh is taken as 1 - y instead of 1 - y^2."""
    _backpropagate(a, derivative=lambda y: 1 - y)


@_bug(LAYERS, NEEDS_SQUARE)
def weight_not_transposed(right: Right, a: Arguments) -> None:
    """The gradient with respect to the input uses W instead of W^T; for square weights, the shapes still fit."""
    _backpropagate(a, transposed=lambda w: w if w.shape[0] == w.shape[1] else w.T)


def _hand_on_only(tower: str, right: Right, a: Arguments) -> None:
    """The right backward pass, but the trunk gets the gradient of one tower only."""
    right()
    model, doutputs = a.self, a.activations.doutputs
    weight = model.towers(model.params)[tower].weights[0]
    doutputs["shared"][-1][:] = doutputs[tower][0] @ weight.T
    model._backward_tower("shared", a.obs, a.activations)


@_bug(NETWORK, NEEDS_FORK)
def no_value_at_fork(right: Right, a: Arguments) -> None:
    """The value tower's gradient is not added where the towers meet: the trunk learns only from the policy."""
    _hand_on_only("policy", right, a)


@_bug(NETWORK, NEEDS_TRUNK)
def no_policy_at_fork(right: Right, a: Arguments) -> None:
    """The policy tower's gradient is not added where the towers meet: the trunk learns only from the value."""
    _hand_on_only("value", right, a)
