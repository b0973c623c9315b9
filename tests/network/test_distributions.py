"""The four action distributions as the model uses them, against SciPy and enumeration; kernels have their own tests."""

import itertools

import numpy as np
import pytest
import scipy.special
import scipy.stats
from conftest import assert_close, both_dtypes, garbage, seeds
from finite_difference import assert_gradient, numeric_gradient
from hypothesis import given
from hypothesis import strategies as st

from ppo_np.network.action_head import ActionHead, discrete
from ppo_np.network.distributions import Bernoulli, Categorical, Gaussian, MultiCategorical

MANY = 4000
HEADS = {
    "Categorical": discrete(4),
    "MultiCategorical": ActionHead(MultiCategorical, (3, 2, 4)),
    "Bernoulli": ActionHead(Bernoulli, (1, 1, 1)),
    "Gaussian": ActionHead(Gaussian, (1, 1)),
}
every_head = pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
part_sizes = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


def make(head, rows, dtype=np.float64, log_std=None):
    """A distribution with garbage for everything that it computes."""
    extra = ()
    if head.has_log_std:
        log_std = np.linspace(-0.7, 0.4, head.outputs) if log_std is None else log_std
        extra = np.array(log_std, dtype), garbage(head.outputs, dtype)
    pi = head.kind(head.sizes, rows, dtype, *extra)
    for name in ("actions", "logprobs", "entropies"):
        getattr(pi, name)[:] = garbage(1, getattr(pi, name).dtype)
    return pi


def outputs_of(head, rows, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, head.outputs))


def in_every_row(head, seed=0):
    """The same outputs MANY times."""
    return np.tile(outputs_of(head, 1, seed), (MANY, 1))


def textbook(pi, sizes, row):
    """SciPy's distributions of the components of one row."""
    if isinstance(pi, Gaussian):
        return [scipy.stats.norm(*pair) for pair in zip(row, np.exp(pi.log_std), strict=True)]
    if isinstance(pi, Bernoulli):
        return [scipy.stats.bernoulli(q) for q in scipy.special.expit(row)]
    parts = np.split(row, np.cumsum(sizes)[:-1])
    return [scipy.stats.rv_discrete(values=(np.arange(len(p)), scipy.special.softmax(p))) for p in parts]


def components(actions):
    """(B, components), of a single choice as well."""
    return actions.reshape(len(actions), -1)


@every_head
def test_shapes_and_types(head):
    for dtype in (np.float32, np.float64):
        pi = make(head, 5, dtype)
        count = len(head.sizes)
        assert pi.actions.shape == ((5,) if head.kind is Categorical else (5, count))
        assert pi.actions.dtype == {Gaussian: dtype, Bernoulli: np.int8}.get(head.kind, np.int64)
        assert pi.logprobs.shape == pi.entropies.shape == (5,)
        assert pi.logprobs.dtype == pi.entropies.dtype == dtype
        assert pi.output_name == ("means" if head.kind is Gaussian else "logits")


@every_head
def test_log_probabilities_and_entropies_agree_with_scipy(head):
    pi, outputs = make(head, 30), 2 * outputs_of(head, 30)
    pi.sample(outputs[::-1].copy(), np.random.default_rng(1))
    actions = pi.actions.copy()
    pi.forward(outputs, actions)
    for b in range(30):
        parts = textbook(pi, head.sizes, outputs[b])
        log_mass = "logpdf" if head.kind is Gaussian else "logpmf"
        each = zip(parts, components(actions)[b], strict=True)
        assert_close(pi.logprobs[b], sum(getattr(part, log_mass)(x) for part, x in each), 1e-11)
        assert_close(pi.entropies[b], sum(part.entropy() for part in parts), 1e-11)


def test_correlations_are_none():
    """The diagonal Gaussian as one distribution in two dimensions."""
    pi, means = make(HEADS["Gaussian"], 9), outputs_of(HEADS["Gaussian"], 9)
    actions = outputs_of(HEADS["Gaussian"], 9, seed=1)
    pi.forward(means, actions)
    joint = scipy.stats.multivariate_normal([0, 0], np.diag(np.exp(2 * pi.log_std)))
    assert_close(pi.logprobs, joint.logpdf(actions - means))
    assert_close(pi.entropies, np.full(9, joint.entropy()))


@every_head
@both_dtypes
def test_samples_follow_the_distribution(head, dtype):
    """Each component by itself, and no two of them together; what is judged is no less likely than 1 in 10,000."""
    pi, outputs = make(head, MANY, dtype), in_every_row(head).astype(dtype)
    pi.sample(outputs, np.random.default_rng(2))
    columns = components(pi.actions).T
    for part, column in zip(textbook(pi, head.sizes, outputs[0].astype(float)), columns, strict=True):
        if head.kind is Gaussian:
            assert scipy.stats.kstest(column, part.cdf).pvalue > 1e-4
            continue
        values = np.arange(part.support()[1] + 1)
        counts = (column == values[:, np.newaxis]).sum(axis=1)
        assert scipy.stats.chisquare(counts, MANY * part.pmf(values)).pvalue > 1e-4
    for one, other in itertools.combinations(columns, 2):
        assert scipy.stats.pearsonr(one, other).pvalue > 1e-4


@every_head
def test_a_sample_uses_the_generator_part_by_part(head):
    pi, outputs = make(head, 50), outputs_of(head, 50)
    rng, same = np.random.default_rng(3), np.random.default_rng(3)
    pi.sample(outputs, rng)
    if head.kind is Gaussian:
        assert_close(pi.actions, outputs + np.exp(pi.log_std) * same.standard_normal((50, 2)))
    elif head.kind is Bernoulli:
        assert np.array_equal(pi.actions, same.random((50, 3)) < scipy.special.expit(outputs))
    else:
        parts = np.split(outputs, np.cumsum(head.sizes)[:-1], axis=1)
        for part, column in zip(parts, components(pi.actions).T, strict=True):
            cumulative = np.cumsum(scipy.special.softmax(part, axis=1), axis=1)
            assert np.array_equal(column, (cumulative <= same.random((50, 1))).sum(axis=1))
    assert rng.random() == same.random()


@every_head
@both_dtypes
@pytest.mark.parametrize(("scale", "log_std"), [(1, 0), (1, -5), (100, 0), (100, -5), (0, 2)])
def test_a_samples_log_probability_is_that_of_the_stored_action(head, dtype, scale, log_std):
    """Actions of float32 are rounded: with a mean of 100 and a standard deviation of e^-5 by 6e-4 of the latter."""
    pi = make(head, 500, dtype, log_std + np.linspace(-0.1, 0.1, head.outputs))
    outputs = (scale * outputs_of(head, 500)).astype(dtype)
    pi.sample(outputs, np.random.default_rng(4))
    logprobs, actions = pi.logprobs.copy(), pi.actions.copy()
    pi.forward(outputs, actions)
    if head.kind is Bernoulli or (head.kind, dtype) == (Gaussian, np.float64):
        # Two compilations of one formula: what is summed first may differ; of float32 the rounding hides that.
        np.testing.assert_allclose(logprobs, pi.logprobs, rtol=np.finfo(dtype).eps, atol=1e-13)
    else:
        np.testing.assert_array_equal(logprobs, pi.logprobs)
    assert np.isfinite(logprobs).all()


@every_head
def test_the_mode_is_the_most_probable_action(head):
    pi, outputs = make(head, 20), outputs_of(head, 20)
    pi.mode(outputs)
    mode = pi.actions.copy()
    pi.forward(outputs, mode)
    best = pi.logprobs.copy()
    for seed in range(50):
        pi.sample(outputs, np.random.default_rng(seed))
        pi.forward(outputs, pi.actions.copy())
        assert (pi.logprobs <= best + 1e-12).all()
    if head.kind is Gaussian:
        assert np.array_equal(mode, outputs)
    else:
        expected = [[part.pmf(np.arange(9)).argmax() for part in textbook(pi, head.sizes, row)] for row in outputs]
        assert components(mode).tolist() == expected


@given(part_sizes, seeds)
def test_multi_categorical_is_the_joint_distribution_of_its_parts(sizes, seed):
    """Every combination of choices as one action of a single categorical distribution."""
    combinations = np.array(list(itertools.product(*map(range, sizes))))
    logits = np.random.default_rng(seed).standard_normal(sum(sizes))
    joint = np.zeros(())
    for part in np.split(logits, np.cumsum(sizes)[:-1]):
        joint = np.add.outer(joint, part)
    p = scipy.special.softmax(joint.reshape(-1))

    pi = make(ActionHead(MultiCategorical, sizes), len(combinations))
    rows = np.tile(logits, (len(combinations), 1))
    pi.forward(rows, combinations)
    assert_close(pi.logprobs, np.log(p))
    assert_close(pi.entropies, np.full(len(p), scipy.stats.entropy(p)))
    assert np.exp(pi.logprobs).sum() == pytest.approx(1)
    pi.mode(rows)
    assert np.array_equal(pi.actions[0], combinations[p.argmax()])


def test_samples_of_multi_categorical_follow_the_joint_distribution():
    head = HEADS["MultiCategorical"]
    pi, logits = make(head, MANY), in_every_row(head)
    pi.sample(logits, np.random.default_rng(5))
    combinations = np.array(list(itertools.product(*map(range, head.sizes))))
    counts = (pi.actions == combinations[:, np.newaxis]).all(axis=2).sum(axis=1)
    joint = make(head, len(combinations))
    joint.forward(logits[: len(combinations)], combinations)
    assert scipy.stats.chisquare(counts, MANY * np.exp(joint.logprobs)).pvalue > 1e-4


def test_multi_categorical_of_one_part_is_categorical():
    one, plain = (make(ActionHead(kind, (4,)), 30) for kind in (MultiCategorical, Categorical))
    logits, (dlogprobs, dentropies) = outputs_of(discrete(4), 30), np.random.default_rng(1).standard_normal((2, 30))
    gradients = []
    for pi in (one, plain):
        pi.sample(logits, np.random.default_rng(6))
        actions, dlogits = pi.actions.copy(), garbage(logits.shape, float)
        pi.forward(logits, actions)
        pi.backward(dlogprobs, dentropies, logits, actions, dlogits)
        gradients.append(dlogits)
    assert np.array_equal(one.actions[:, 0], plain.actions)
    assert np.array_equal(one.logprobs, plain.logprobs)
    assert np.array_equal(one.entropies, plain.entropies)
    assert np.array_equal(*gradients)


@every_head
@given(seeds, st.integers(1, 5))
def test_gradient_of_every_coordinate(head, seed, rows):
    pi, outputs = make(head, rows), outputs_of(head, rows, seed)
    dlogprobs, dentropies = np.random.default_rng(seed + 1).standard_normal((2, rows))
    pi.sample(outputs, np.random.default_rng(seed))
    actions, doutputs = pi.actions.copy(), garbage(outputs.shape, float)

    def loss():
        pi.forward(outputs, actions)
        return dlogprobs @ pi.logprobs + dentropies @ pi.entropies

    loss()
    pi.backward(dlogprobs, dentropies, outputs, actions, doutputs)
    assert_gradient(doutputs, numeric_gradient(loss, outputs), "outputs")
    if head.has_log_std:
        assert_gradient(pi.dlog_std.copy(), numeric_gradient(loss, pi.log_std), "log_std")


@every_head
def test_float32_agrees_with_float64(head):
    rough, exact = make(head, 40, np.float32), make(head, 40)
    outputs, (dlogprobs, dentropies) = outputs_of(head, 40), np.random.default_rng(1).standard_normal((2, 40))
    exact.sample(outputs, np.random.default_rng(7))
    results = []
    for pi, dtype in ((rough, np.float32), (exact, np.float64)):
        actions, rows = exact.actions.astype(pi.actions.dtype), outputs.astype(dtype)
        doutputs = garbage(rows.shape, dtype)
        pi.forward(rows, actions)
        pi.backward(dlogprobs.astype(dtype), dentropies.astype(dtype), rows, actions, doutputs)
        results.append((pi.logprobs, pi.entropies, doutputs, *([pi.dlog_std] if head.has_log_std else [])))
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
