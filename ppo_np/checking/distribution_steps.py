"""The step from log-probabilities and entropies to the policy head's outputs and log_std, and its mistakes.

The letters are those of the kernels: p and H of a categorical distribution, q of a bit, zeta = (x - mu) / sigma.
"""

from collections.abc import Callable

import numpy as np

from kernels.special import digamma, trigamma
from ppo_np.checking.diagnosis import Term
from ppo_np.checking.gradient_step import BackwardPass, Step
from ppo_np.network.continuous import Beta, Squashed, StateGaussian, StateSquashed
from ppo_np.network.distributions import Bernoulli, Categorical, Gaussian, MultiCategorical
from ppo_np.network.model import LOG_STD

Array = np.ndarray
ENTROPY_SIGN = "the sign of the entropy's part is wrong"
NO_ENTROPY = "the entropy's part is missing"
ONLY_ENTROPY = "the log-probability's part is missing"
EXCHANGED = "dlogprobs and dentropies are exchanged"
INVALID = -1e9  # stands for the logit of an invalid action: its probability is exactly 0, and its logarithm finite


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
    if p.minibatch.action_mask is not None:
        logits = np.where(p.minibatch.action_mask, logits, INVALID)
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


def _of_rows(p: BackwardPass, dlogpi: Array, dh: Array) -> dict[str, Step]:
    """Gaussians whose log sigma belongs to the row, squashed or not; the gradients are those of the outputs.

    dmu = dlogpi zeta / sigma - 2 dH t,   dlog_sigma = dlogpi (zeta^2 - 1) + dH (1 - 2 t sigma xi);
    t = tanh(mu + sigma xi) if squashed, else 0.
    """
    outputs, actions, rows = p.activations.policy_outputs, p.minibatch.actions, p.minibatch.rows
    components = len(p.model.head.sizes)
    shared = p.model.head.has_log_std
    means = outputs if shared else outputs[:, 0::2]
    log_sigma = p.model.named(p.model.params)[LOG_STD] if shared else outputs[:, 1::2]
    sigma = np.exp(log_sigma)
    u = actions[:, :components]
    zeta = (u - means) / sigma
    squashed = actions.shape[1] > components
    move = sigma * actions[:, components:] if squashed else 0 * zeta
    t = np.tanh(means + move) if squashed else 0 * zeta

    def both(dlogpi: Array, dh: Array, sigma: Array = sigma, t: Array = t, slope: Array = zeta**2 - 1) -> Array:
        of_means = dlogpi * zeta / sigma - 2 * dh * t
        of_log_std = dlogpi * slope + dh * (1 - 2 * t * move)
        return np.stack([of_means, of_log_std], axis=2)

    right = both(dlogpi, dh)
    summed, once_more = right.copy(), right.copy()
    summed[..., 1] = right[..., 1].sum(axis=0)
    once_more[..., 0] += 2 * dlogpi * np.tanh(u)
    fixed = both(dlogpi - dh, 0 * dh)
    mistakes = [
        *_mistakes_of_both(both, dlogpi, dh),
        ("1/sigma is missing: zeta instead of zeta / sigma", both(dlogpi, dh, sigma=np.ones_like(sigma))),
        ("the term -1 is missing: zeta^2 instead of zeta^2 - 1", both(dlogpi, dh, slope=zeta**2)),
        ("log sigma's gradient is summed over the rows: each row has its own", summed),
    ]
    if squashed:
        mistakes += [
            ("the terms of the squashing, -2 tanh, are missing in the entropy's part", both(dlogpi, dh, t=0 * t)),
            ("u stands in the entropy's part instead of mu + sigma xi", both(dlogpi, dh, t=np.tanh(u))),
            ("the entropy's part is that of -log pi at the fixed action, of expectation 0", fixed),
            ("the log-density's part has the Jacobian's slope: u does not move with the mean", once_more),
        ]
    if shared:
        of_log_std = [(says, values[..., 1].sum(axis=0)) for says, values in mistakes]
        return {
            "loss/d{}": Step(right[..., 0], rows, [(says, values[..., 0]) for says, values in mistakes]),
            LOG_STD: Step(right[..., 1].sum(axis=0), rows, of_log_std),
        }
    flat = [(says, values.reshape(rows, -1)) for says, values in mistakes]
    return {"loss/d{}": Step(right.reshape(rows, -1), rows, flat)}


def _beta(p: BackwardPass, dlogpi: Array, dh: Array) -> dict[str, Step]:
    """do = sigmoid(o) (dlogpi (log x - psi(alpha) + psi(n)) + dH ((n - 2) psi'(n) - (alpha - 1) psi'(alpha))).

    n = alpha + beta; and the same for beta with log(1 - x).
    """
    outputs, x = p.activations.policy_outputs, p.minibatch.actions
    parameters, slopes = 1 + np.logaddexp(0, outputs), 1 / (1 + np.exp(-outputs))
    n = np.repeat(parameters[:, 0::2] + parameters[:, 1::2], 2, axis=1)
    log_x = np.stack([np.log(x), np.log1p(-x)], axis=2).reshape(outputs.shape)
    psi, dpsi = np.vectorize(digamma), np.vectorize(trigamma)

    def both(
        dlogpi: Array, dh: Array, slopes: Array = slopes, log_x: Array = log_x, of_n: float = 1, dof_n: float = 1
    ) -> Array:
        of_logprob = dlogpi * (log_x - psi(parameters) + of_n * psi(n))
        of_entropy = dh * (dof_n * (n - 2) * dpsi(n) - (parameters - 1) * dpsi(parameters))
        return slopes * (of_logprob + of_entropy)

    mistakes = [
        *_mistakes_of_both(both, dlogpi, dh),
        (
            "the derivative of softplus is missing: it is the gradient of alpha and beta",
            both(dlogpi, dh, slopes=np.ones_like(slopes)),
        ),
        ("log x stands in it for both parameters", both(dlogpi, dh, log_x=np.repeat(np.log(x), 2, axis=1))),
        ("the term psi(alpha + beta) is missing", both(dlogpi, dh, of_n=0)),
        ("the term (alpha + beta - 2) psi'(alpha + beta) is missing in the entropy's part", both(dlogpi, dh, dof_n=0)),
    ]
    return {"loss/d{}": Step(both(dlogpi, dh), len(x), mistakes)}


STEPS = {
    Categorical: _categorical, MultiCategorical: _categorical, Bernoulli: _bernoulli, Gaussian: _gaussian,
    StateGaussian: _of_rows, StateSquashed: _of_rows, Squashed: _of_rows, Beta: _beta,
}  # fmt: skip
