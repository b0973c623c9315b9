"""The step from log-probabilities and entropies to the policy head's outputs and log_std, and its mistakes.

The letters are those of the kernels: p and H of a categorical distribution, q of a bit, zeta = (x - mu) / sigma.
"""

from collections.abc import Callable

import numpy as np

from ppo_np.checking.diagnosis import Term
from ppo_np.checking.gradient_step import BackwardPass, Step
from ppo_np.network.distributions import Bernoulli, Categorical, Gaussian, MultiCategorical
from ppo_np.network.model import LOG_STD

Array = np.ndarray
ENTROPY_SIGN = "the sign of the entropy's part is wrong"
NO_ENTROPY = "the entropy's part is missing"
ONLY_ENTROPY = "the log-probability's part is missing"
EXCHANGED = "dlogprobs and dentropies are exchanged"


def distribution_steps(p: BackwardPass, dlogprobs: Array, dentropies: Array) -> dict[str, Step]:
    """The step to the outputs, (B, K), and to log_std, (A,), if there is one; the gradients given are (B,)."""
    distribution = p.activations.distribution
    steps = STEPS[type(distribution)](p, dlogprobs[:, np.newaxis], dentropies[:, np.newaxis])
    return {name.format(distribution.output_name): step for name, step in steps.items()}


def _mistakes_of_both(part: Callable[[Array, Array], Array], dlogpi: Array, dh: Array) -> list[tuple[str, Array]]:
    """The mistakes that each sum of a log-probability's part and an entropy's part can have."""
    return [
        (ENTROPY_SIGN, part(dlogpi, -dh)),
        (NO_ENTROPY, part(dlogpi, 0 * dh)),
        (ONLY_ENTROPY, part(0 * dlogpi, dh)),
        (EXCHANGED, part(dh, dlogpi)),
    ]


def _categorical(p: BackwardPass, dlogpi: Array, dh: Array) -> dict[str, Step]:
    """dl_k = dlogpi (1[k = a] - p_k) - dH p_k (log p_k + H), in each part."""
    logits, sizes = p.activations.policy_outputs, p.model.head.sizes
    actions = p.minibatch.actions.reshape(len(logits), len(sizes))
    ends = np.cumsum(sizes)
    parts = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    log_p = np.hstack([_log_softmax(logits[:, part]) for part in parts])
    one_hot = np.hstack([np.arange(size) == a[:, np.newaxis] for size, a in zip(sizes, actions.T, strict=True)]) * 1.0
    p_k = np.exp(log_p)
    h = np.hstack([_entropy(log_p[:, part]) for part in parts])
    p_rows = np.hstack([np.exp(_log_softmax(logits[:, part].T)).T for part in parts])

    def both(dlogpi: Array, dh: Array, p_k: Array = p_k, h: Array = h) -> Array:
        return dlogpi * (one_hot - p_k) - dh * p_k * (log_p + h)

    mistakes = [
        *_mistakes_of_both(both, dlogpi, dh),
        ("the entropy's part keeps the + 1 of the derivative of p log p", both(dlogpi, dh, h=h + 1)),
        ("the factor p is missing in the entropy's part", dlogpi * (one_hot - p_k) - dh * (log_p + h)),
        ("the softmax is taken over the rows", both(dlogpi, dh, p_k=p_rows)),
        ("the entropy of all parts stands in each part", both(dlogpi, dh, h=_entropy(log_p))),
    ]
    terms = {
        "dlogpi 1[k = a]": (dlogpi * one_hot, 1),
        "dlogpi p": (dlogpi * p_k, -1),
        "dH p log p": (dh * p_k * log_p, -1),
        "dH p H": (dh * p_k * h, -1),
        "dH p": (dh * p_k, 0),
        "dlogpi": (dlogpi * np.ones_like(p_k), 0),
    }
    split = [Term(name, [array[:, part] for part in parts], factor) for name, (array, factor) in terms.items()]
    columns = parts if len(parts) > 1 else []
    return {"loss/d{}": Step(both(dlogpi, dh), len(logits), mistakes, split, columns)}


def _log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _entropy(log_p: Array) -> Array:
    """-sum_k p_k log p_k in each of the columns, (B, K)."""
    return np.broadcast_to(-(np.exp(log_p) * log_p).sum(axis=1, keepdims=True), log_p.shape)


def _bernoulli(p: BackwardPass, dlogpi: Array, dh: Array) -> dict[str, Step]:
    """dl = dlogpi (x - q) - dH l q (1 - q)."""
    logits, x = p.activations.policy_outputs, p.minibatch.actions
    q = 1 / (1 + np.exp(-logits))

    def both(dlogpi: Array, dh: Array) -> Array:
        return dlogpi * (x - q) - dh * logits * q * (1 - q)

    mistakes = [
        *_mistakes_of_both(both, dlogpi, dh),
        ("the factor q (1 - q) is missing in the entropy's part", dlogpi * (x - q) - dh * logits),
    ]
    terms = [
        Term("dlogpi x", [dlogpi * x], 1),
        Term("dlogpi q", [dlogpi * q], -1),
        Term("dH l q", [dh * logits * q], -1),
        Term("dH l q^2", [dh * logits * q * q], 1),
        Term("dH q (1 - q)", [dh * q * (1 - q)], 0),
    ]
    return {"loss/d{}": Step(both(dlogpi, dh), len(logits), mistakes, terms)}


def _gaussian(p: BackwardPass, dlogpi: Array, dh: Array) -> dict[str, Step]:
    """dmu = dlogpi zeta / sigma,   dlog_sigma = sum_b (dlogpi (zeta^2 - 1) + dH)."""
    means, rows = p.activations.policy_outputs, p.minibatch.rows
    sigma = np.exp(p.model.named(p.model.params)[LOG_STD])
    zeta = (p.minibatch.actions - means) / sigma
    of_means = [
        ("1/sigma is missing: zeta instead of zeta / sigma", dlogpi * zeta),
        ("x - mu stands in it instead of zeta / sigma", dlogpi * zeta * sigma),
        ("it is divided by sigma once more: zeta / sigma^2", dlogpi * zeta / sigma**2),
        ("dentropies stand in it instead of dlogprobs", dh * zeta / sigma),
        ("dentropies are added: the entropy does not depend on the mean", dlogpi * zeta / sigma + dh),
    ]

    def both(dlogpi: Array, dh: Array, slope: Array = zeta**2 - 1) -> Array:
        return np.asarray((dlogpi * slope + dh).sum(axis=0))

    right = both(dlogpi, dh)
    of_log_std = [
        *_mistakes_of_both(both, dlogpi, dh),
        ("the term -1 is missing: zeta^2 instead of zeta^2 - 1", both(dlogpi, dh, zeta**2)),
        ("the term zeta^2 is missing: -1 instead of zeta^2 - 1", both(dlogpi, dh, -np.ones_like(zeta))),
        ("zeta stands in it instead of zeta^2", both(dlogpi, dh, zeta - 1)),
        ("it is the gradient with respect to sigma instead of log sigma", right / sigma),
        ("it is the gradient with respect to sigma^2 instead of log sigma", right / (2 * sigma**2)),
        ("it is multiplied by sigma", right * sigma),
        ("it is the mean over the rows instead of their sum", right / rows),
        ("it is 0 everywhere: nothing was computed, or everything was cut off", np.zeros_like(right)),
    ]
    return {
        "loss/d{}": Step(dlogpi * zeta / sigma, rows, of_means),
        LOG_STD: Step(right, rows, of_log_std),
    }


STEPS = {Categorical: _categorical, MultiCategorical: _categorical, Bernoulli: _bernoulli, Gaussian: _gaussian}
