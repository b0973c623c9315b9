"""Wrong gradients to plant on purpose, so that one can see what each looks like in a gradient check.

Each bug takes the place of one function of the backward path while `planted` is active; no kernel changes. It is called
as bug(right, a): `right()` computes the right gradient, and `a` holds the arguments by their names.
"""

import inspect
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace

import numpy as np

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError

# Which function a bug takes the place of: where it is looked up, and its name there.
LOSS = ("ppo_np.network.model", "ppo_loss_backward")
CATEGORICAL = ("ppo_np.network.distributions", "categorical_backward")
BERNOULLI = ("ppo_np.network.distributions", "bernoulli_backward")
GAUSSIAN = ("ppo_np.network.distributions", "gaussian_backward")
LAYERS = ("ppo_np.network.model", "mlp_backward")
NETWORK = ("ppo_np.network.model:ActorCritic", "backward")

# What a bug needs to show: in words, and as a condition.
ENTROPY = ("ent_coef > 0", lambda c: c.ent_coef > 0)
VALUE = ("vf_coef > 0", lambda c: c.vf_coef > 0)
VALUE_CLIP = ("vf_coef > 0 and clip_vloss", lambda c: c.vf_coef > 0 and c.clip_vloss)
FORK = ("vf_coef > 0 and shared layers", lambda c: c.vf_coef > 0 and c.shared_sizes)
RELU = ("activation relu and a hidden layer", lambda c: c.activation == "relu" and any(_towers(c)))
TANH = ("activation tanh and a hidden layer", lambda c: c.activation == "tanh" and any(_towers(c)))
SQUARE = ("two equal hidden layers in a row", lambda c: any(i == o for sizes in _towers(c) for i, o in pairwise(sizes)))


def _towers(config: PPOConfig) -> tuple[tuple[int, ...], ...]:
    return config.shared_sizes, config.policy_sizes, config.value_sizes


@dataclass(frozen=True)
class PlantedBug:
    """A mistake in the backward path.

    Attributes:
        description: what is wrong, in one sentence.
        wrong: the function described above.
        place: what it takes the place of.
        needs: settings without which it makes no difference, in words and as a condition; None if there are none.
        row, hint: a row that it makes wrong, and how the hint there begins; empty where no hint is promised.
    """

    description: str
    wrong: Callable
    place: tuple[str, str]
    needs: tuple[str, Callable[[PPOConfig], bool]] | None
    row: str
    hint: str


BUGS: dict[str, PlantedBug] = {}


def _bug(place: tuple[str, str], needs: tuple | None = None, row: str = "", hint: str = ""):
    """Enter the function below into `BUGS`: its name is the bug's, its docstring the description."""

    def enter(wrong):
        BUGS[wrong.__name__.replace("_", "-")] = PlantedBug(wrong.__doc__, wrong, place, needs, row, hint)
        return wrong

    return enter


@contextmanager
def planted(name: str, config: PPOConfig) -> Iterator[None]:
    """While active, the bug of that name is in the backward path; afterwards everything is as it was.

    Raises:
        UserError: There is no bug of that name, or it makes no difference with these settings.
    """
    if name not in BUGS:
        raise UserError(f"inject is {name!r}, but it must be one of {', '.join(BUGS)}.")
    bug = BUGS[name]
    if bug.needs and not bug.needs[1](config):
        raise UserError(f"inject is {name!r}, but that bug shows only with {bug.needs[0]}.")
    owner, attribute = pkgutil.resolve_name(bug.place[0]), bug.place[1]
    original = getattr(owner, attribute)
    signature = inspect.signature(original)

    def replacement(*arguments):
        bug.wrong(lambda: original(*arguments), SimpleNamespace(**signature.bind(*arguments).arguments))

    setattr(owner, attribute, replacement)
    try:
        yield
    finally:
        setattr(owner, attribute, original)


def _ratio(a: SimpleNamespace) -> np.ndarray:
    return np.exp(a.logprobs - a.old_logprobs)


@_bug(LOSS)
def no_ratio(right, a):
    """The surrogate's gradient forgets the ratio: -A/B instead of -A r/B."""
    right()
    a.dlogprobs /= _ratio(a)


@_bug(LOSS, row="policy_loss/dlogprobs", hint="not 0 where it must be")
def no_clip(right, a):
    """The surrogate's gradient is not cut off where the clipped branch is taken."""
    right()
    a.dlogprobs[:] = -a.dloss / len(a.logprobs) * a.advantages * _ratio(a)


@_bug(LOSS, row="policy_loss/dlogprobs", hint="no common factor; ratio 0 at the worst")
def clip_both_sides(right, a):
    """The surrogate's gradient is cut off wherever the ratio is out of range, whatever the advantage's sign."""
    right()
    a.dlogprobs[np.abs(_ratio(a) - 1) > a.clip_coef] = 0


@_bug(LOSS)
def swapped_logprobs(right, a):
    """Old and new log-probability are swapped in the surrogate's gradient: it takes 1/r for r."""
    ratio = 1 / _ratio(a)
    flat = np.where(a.advantages > 0, ratio > 1 + a.clip_coef, ratio < 1 - a.clip_coef)
    right()
    a.dlogprobs[:] = np.where(flat, 0, -a.dloss / len(ratio) * a.advantages * ratio)


@_bug(LOSS, row="policy_loss/dlogprobs", hint="ratio 36 = B:")
def sum_not_mean(right, a):
    """The factor 1/B is missing: the gradient is that of the sum over the minibatch, not of the mean."""
    right()
    for gradient in (a.dlogprobs, a.dentropies, a.dvalues):
        gradient *= len(gradient)


@_bug(LOSS, ENTROPY, row="entropy/dentropies", hint="ratio -1:")
def entropy_sign(right, a):
    """The entropy's gradient has the wrong sign: the bonus becomes a penalty."""
    right()
    a.dentropies *= -1


@_bug(LOSS, VALUE, row="value_loss/dvalues", hint="ratio 2:")
def value_doubled(right, a):
    """The value loss is differentiated as (V - R)^2, without its factor 1/2."""
    right()
    a.dvalues *= 2


@_bug(LOSS, VALUE_CLIP, row="value_loss/dvalues", hint="not 0 where it must be")
def no_value_clip(right, a):
    """The value loss's gradient ignores the clipping."""
    right()
    a.dvalues[:] = a.dloss / len(a.values) * a.vf_coef * (a.values - a.returns)


@_bug(CATEGORICAL)
def no_softmax_term(right, a):
    """The derivative of log-softmax is taken as 1[k = a], without the term -p_k."""
    right()
    a.dlogits += a.dlogprobs[:, np.newaxis] * np.exp(a.log_probs)


@_bug(CATEGORICAL, ENTROPY)
def entropy_without_h(right, a):
    """The entropy's derivative by the logits is taken as -p log p instead of -p (log p + H)."""
    right()
    a.dlogits += (a.dentropies * a.entropies)[:, np.newaxis] * np.exp(a.log_probs)


@_bug(BERNOULLI)
def no_sigmoid_term(right, a):
    """The derivative of a bit's log-probability is taken as x, without the term -q (MultiBinary actions)."""
    right()
    a.dlogits += a.dlogprobs[:, np.newaxis] / (1 + np.exp(-a.logits))


@_bug(GAUSSIAN)
def mean_over_sigma_once(right, a):
    """The derivative by the mean is taken as zeta instead of zeta / sigma (Box actions)."""
    right()
    a.dmeans *= np.exp(a.log_std)


@_bug(GAUSSIAN)
def log_std_without_1(right, a):
    """The derivative of the log-density by log sigma is taken as zeta^2, without the term -1 (Box actions)."""
    right()
    a.dlog_std += a.dlogprobs.sum()


@_bug(GAUSSIAN)
def sigma_for_log_sigma(right, a):
    """The gradient of log sigma is taken by sigma: a factor sigma is missing (Box actions)."""
    right()
    a.dlog_std /= np.exp(a.log_std)


@_bug(GAUSSIAN, row="policy/log_std", hint="ratio 0:")
def no_log_std_gradient(right, a):
    """log sigma gets no gradient: the policy's spread is never learnt (Box actions)."""
    right()
    a.dlog_std[:] = 0


@_bug(LAYERS, row="policy/head/bias", hint="ratio 0:")
def no_bias_gradient(right, a):
    """Biases get no gradient."""
    right()
    for dbias in a.dbiases:
        dbias[:] = 0


@_bug(LAYERS, row="policy/head/bias", hint="ratio 1/36 = 1/B:")
def bias_mean(right, a):
    """The bias's gradient is the mean over the rows instead of their sum (the loss has taken the mean already)."""
    right()
    for dbias in a.dbiases:
        dbias /= len(a.x)


@_bug(LAYERS)
def weight_reshaped(right, a):
    """The weight's gradient is computed as dy^T x, (O, I), and reshaped to (I, O) instead of transposed."""
    right()
    for dweight in a.dweights:
        dweight[:] = dweight.T.reshape(dweight.shape)


def _backpropagate(a: SimpleNamespace, derivative=None, into=lambda dz, weight: dz @ weight.T) -> None:
    """`kernels.mlp.mlp_backward` in NumPy, on its arguments `a`, with two places for mistakes.

    Args:
        derivative: of the activation, from its output; None takes the right one.
        into: gives dh of the layer below from dz and the weight.
    """
    from kernels.activation import RELU

    derivative = derivative or ((lambda y: y > 0) if a.activation == RELU else (lambda y: 1 - y * y))
    for l in reversed(range(len(a.weights))):
        dz = a.doutputs[l]
        if l < len(a.weights) - 1 or a.activate_last:
            dz *= derivative(a.outputs[l])
        a.dweights[l][:] = (a.outputs[l - 1] if l else a.x).T @ dz
        a.dbiases[l][:] = dz.sum(axis=0)
        if l:
            a.doutputs[l - 1][:] = into(dz, a.weights[l])


@_bug(LAYERS, RELU)
def relu_derivative_1(right, a):
    """ReLU's derivative is taken as 1 everywhere."""
    _backpropagate(a, derivative=np.ones_like)


@_bug(LAYERS, TANH)
def tanh_derivative(right, a):
    """The derivative of tanh is taken as 1 - y instead of 1 - y^2."""
    _backpropagate(a, derivative=lambda y: 1 - y)


@_bug(LAYERS, SQUARE)
def weight_not_transposed(right, a):
    """The gradient goes down through W instead of W^T, which square weights let pass."""
    _backpropagate(a, into=lambda dz, weight: dz @ (weight.T if weight.shape[0] != weight.shape[1] else weight))


@_bug(NETWORK, FORK)
def no_value_at_fork(right, a):
    """The value tower's gradient is not added where the towers meet: the trunk learns from the policy alone."""
    model, activations = a.self, a.activations
    dpolicy_outputs, dvalues = activations.dpolicy_outputs.copy(), activations.dvalues.copy()
    right()
    grads = model.named(model.grads)
    towers = {name: gradient.copy() for name, gradient in grads.items() if not name.startswith("shared")}
    activations.dpolicy_outputs[:], activations.dvalues[:] = dpolicy_outputs, 0
    right()
    activations.dvalues[:] = dvalues
    for name, gradient in towers.items():
        grads[name][:] = gradient
