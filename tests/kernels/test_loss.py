"""The PPO loss: its value in every region, its derivative, and what happens on the edges of the clip ranges."""

import itertools
import math

import numpy as np
import pytest
from conftest import assert_close, both_dtypes, garbage, garbage_like, run, seeds
from finite_difference import assert_gradient, crosses_a_kink, numeric_gradient
from hypothesis import given
from hypothesis import strategies as st
from loss_rows import ALL, CLIP, ENT, VF, Rows, branches, random_rows, rows_in_every_region, rows_of

from bench.reference.loss import numpy_ppo_loss_forward
from kernels.loss import LOSS_TERMS, ppo_loss_backward, ppo_loss_forward


def forward(rows, clip_coef=CLIP, ent_coef=ENT, vf_coef=VF, clip_vloss=True, value_clip_coef=None):
    """The six terms by name."""
    inputs = (*rows, clip_coef, ent_coef, vf_coef, clip_vloss, value_clip_coef or clip_coef)
    terms = run(ppo_loss_forward, inputs, garbage(6, np.float64))
    return dict(zip(LOSS_TERMS, terms, strict=True))


def backward(rows, dloss=1.0, clip_coef=CLIP, ent_coef=ENT, vf_coef=VF, clip_vloss=True, value_clip_coef=None):
    """dlogprobs, dentropies, dvalues."""
    settings = clip_coef, ent_coef, vf_coef, clip_vloss, value_clip_coef or clip_coef
    inputs = (dloss, rows.logprobs, *rows[2:], *settings)
    return run(ppo_loss_backward, inputs, *[garbage_like(rows.logprobs) for _ in range(3)])


def reference(rows, clip_coef=CLIP, ent_coef=ENT, vf_coef=VF, clip_vloss=True, value_clip_coef=None):
    """The six terms, in NumPy and float64."""
    terms = np.zeros(len(LOSS_TERMS))
    settings = clip_coef, ent_coef, vf_coef, clip_vloss, value_clip_coef or clip_coef
    numpy_ppo_loss_forward(*rows.astype(np.float64), *settings, terms)
    return dict(zip(LOSS_TERMS, terms, strict=True))


def assert_terms(terms, expected, tolerance=1e-12):
    assert terms.keys() == expected.keys()
    assert_close(list(terms.values()), [expected[name] for name in terms], tolerance)


def kernels_ratio(log_ratio):
    """exp(log_ratio) to the last bit as the kernels compute it."""
    rows = Rows(*np.array([[log_ratio], [0], [0], [0], [0], [-1], [0]], np.float64))
    return backward(rows, clip_coef=10.0)[0][0]


@given(seeds, st.sampled_from([0.1, 0.25, 0.5, 2.0]))
def test_a_clip_range_of_the_values_own(seed, value_clip_coef):
    """The terms by the formulas, and of the backward pass only dvalues depends on it."""
    rows = rows_in_every_region(seed)
    settings = {"value_clip_coef": value_clip_coef}
    assert_terms(forward(rows, **settings), reference(rows, **settings), 1e-6)
    analytic, as_ratio, as_value = backward(rows, **settings), backward(rows), backward(rows, clip_coef=value_clip_coef)
    np.testing.assert_array_equal(np.array(analytic), [*as_ratio[:2], as_value[2]])


@given(seeds, st.integers(1, ALL), st.booleans())
def test_gradient_of_every_coordinate(seed, count, clip_vloss):
    rows = rows_in_every_region(seed, count)
    dloss, ent_coef, vf_coef = np.random.default_rng(seed).uniform(0.2, 3, 3) * [-1, 1, 1]
    settings = {"ent_coef": ent_coef, "vf_coef": vf_coef, "clip_vloss": clip_vloss}
    analytic = backward(rows, dloss, **settings)
    for name, gradient in zip(("logprobs", "entropies", "values"), analytic, strict=True):
        tensor = getattr(rows, name)
        assert not crosses_a_kink(lambda: branches(rows), tensor)
        assert_gradient(gradient, numeric_gradient(lambda: dloss * forward(rows, **settings)["loss"], tensor), name)


@given(seeds)
def test_the_points_of_the_gradient_check_reach_every_region(seed):
    rows = rows_in_every_region(seed)
    ratio_sides, value_sides, farther = branches(rows)
    found = set(zip(rows.advantages > 0, ratio_sides, value_sides != 1, farther, strict=True))
    value_regions = [(False, False), (True, False), (True, True)]
    assert found == {(*sides, *value) for *sides, value in itertools.product([False, True], range(3), value_regions)}


@given(seeds, st.integers(1, 20), st.booleans(), st.floats(0.05, 0.9))
def test_forward_agrees_with_numpy(seed, count, clip_vloss, clip_coef):
    for rows in (random_rows(seed, count), rows_in_every_region(seed, count)):
        settings = {"clip_coef": clip_coef, "clip_vloss": clip_vloss}
        assert_terms(forward(rows, **settings), reference(rows, **settings))


@pytest.mark.parametrize(
    ("advantage", "ratio", "policy_loss", "dlogprob"),
    [
        (2.0, 0.5, -1.0, -1.0),
        (2.0, 1.0, -2.0, -2.0),
        (2.0, 2.0, -2.5, 0.0),
        (-2.0, 0.5, 1.5, 0.0),
        (-2.0, 1.0, 2.0, 2.0),
        (-2.0, 2.0, 4.0, 4.0),
        (0.0, 0.5, 0.0, 0.0),
        (0.0, 1.0, 0.0, 0.0),
        (0.0, 2.0, 0.0, 0.0),
    ],
)
@both_dtypes
def test_surrogate_in_every_region(dtype, advantage, ratio, policy_loss, dlogprob):
    rows = rows_of(ratio, advantage).astype(dtype)
    assert_close(forward(rows)["policy_loss"], policy_loss, 1e-6)
    assert_close(backward(rows)[0], [dlogprob], 1e-6)


@pytest.mark.parametrize(("advantage", "ratio"), [(2.0, 1.5), (2.0, 1.2), (-2.0, 0.5), (-2.0, 0.8)])
def test_on_the_edge_of_the_ratio_the_gradient_flows_and_one_ulp_outside_it_is_0(advantage, ratio):
    log_ratio = math.log(ratio)
    ratio = kernels_ratio(log_ratio)
    rows = Rows(*np.array([[log_ratio], [0], [0], [0], [0], [advantage], [0]], np.float64))
    edge = abs(ratio - 1)
    assert forward(rows, clip_coef=edge)["policy_loss"] == -advantage * ratio
    assert forward(rows, clip_coef=edge)["clipfrac"] == 0
    assert backward(rows, clip_coef=edge)[0] == [-advantage * ratio]
    one_ulp_less = edge - 2.0**-52
    assert forward(rows, clip_coef=one_ulp_less)["clipfrac"] == 1
    assert backward(rows, clip_coef=one_ulp_less)[0] == [0]


@pytest.mark.parametrize(
    ("value", "target", "value_loss", "derivative"),
    [
        pytest.param(0.2, 1.0, 0.32, -0.8, id="inside"),
        pytest.param(1.0, 0.0, 0.5, 1.0, id="above, clipped nearer"),
        pytest.param(1.0, 1.0, 0.28125, 0.0, id="above, clipped farther"),
        pytest.param(1.0, 2.0, 1.53125, 0.0, id="above, both too low"),
        pytest.param(-1.0, 0.0, 0.5, -1.0, id="below, clipped nearer"),
        pytest.param(-1.0, -1.0, 0.28125, 0.0, id="below, clipped farther"),
        pytest.param(-1.0, -2.0, 1.53125, 0.0, id="below, both too high"),
        pytest.param(0.25, 1.0, 0.28125, -0.75, id="upper edge"),
        pytest.param(-0.25, -1.0, 0.28125, 0.75, id="lower edge"),
        pytest.param(1.0, 0.625, 0.0703125, 0.375, id="above, equal errors"),
        pytest.param(1.0, 0.624, 0.070688, 0.376, id="above, clipped a little nearer"),
        pytest.param(1.0, 0.626, 0.070688, 0.0, id="above, clipped a little farther"),
        pytest.param(-1.0, -0.625, 0.0703125, -0.375, id="below, equal errors"),
        pytest.param(-1.0, -0.624, 0.070688, -0.376, id="below, clipped a little nearer"),
        pytest.param(-1.0, -0.626, 0.070688, 0.0, id="below, clipped a little farther"),
    ],
)
@both_dtypes
def test_value_loss_in_every_branch(dtype, value, target, value_loss, derivative):
    shift = 8.0
    rows = rows_of(values=shift + value, old_values=shift, returns=shift + target).astype(dtype)
    assert_close(forward(rows)["value_loss"], value_loss, 2e-6)
    assert_close(backward(rows)[2], [VF * derivative], 2e-6)
    assert_close(forward(rows, clip_vloss=False)["value_loss"], (value - target) ** 2 / 2, 2e-6)
    assert_close(backward(rows, clip_vloss=False)[2], [VF * (value - target)], 2e-6)


@given(seeds)
def test_on_the_edge_of_the_value_range_the_gradient_flows_whatever_rounding_makes_of_the_clipped_value(seed):
    value, old_value, error = np.random.default_rng(seed).standard_normal(3)
    for target in (value - error, value + error):
        rows = rows_of(values=value, old_values=old_value, returns=target)
        edge = abs(value - old_value)
        assert backward(rows, clip_coef=edge)[2] == [VF * (value - target)]
        assert_close(forward(rows, clip_coef=edge)["value_loss"], 0.5 * (value - target) ** 2)


@given(seeds, st.integers(1, 20))
def test_at_ratio_1_the_gradient_is_the_plain_policy_gradient(seed, count):
    rows = random_rows(seed, count)
    rows.old_logprobs[:] = rows.logprobs
    terms = forward(rows)
    assert_close(terms["policy_loss"], -rows.advantages.mean())
    assert terms["approx_kl"] == terms["clipfrac"] == 0
    assert_close(backward(rows)[0], -rows.advantages / count)


@given(seeds, st.integers(1, 20), st.floats(0, 2), st.floats(0, 2))
def test_coefficients_weigh_the_terms_and_the_gradients(seed, count, ent_coef, vf_coef):
    rows = random_rows(seed, count)
    terms, gradients = forward(rows, ent_coef=ent_coef, vf_coef=vf_coef), backward(rows, ent_coef=1.0, vf_coef=1.0)
    expected = forward(rows) | {
        "loss": terms["policy_loss"] - ent_coef * terms["entropy"] + vf_coef * terms["value_loss"]
    }
    assert_terms(terms, expected)
    dlogprobs, dentropies, dvalues = backward(rows, ent_coef=ent_coef, vf_coef=vf_coef)
    assert_close(dlogprobs, gradients[0])
    assert_close(dentropies, np.full(count, -ent_coef / count))
    assert_close(dvalues, vf_coef * gradients[2])


@given(seeds, st.integers(1, 20), st.floats(-5, 5))
def test_upstream_gradient_scales_everything(seed, count, dloss):
    rows = random_rows(seed, count)
    for scaled, plain in zip(backward(rows, dloss), backward(rows), strict=True):
        assert_close(scaled, dloss * plain)


@given(seeds, st.integers(1, 20))
def test_rows_taken_twice_give_the_same_loss_and_half_the_gradient_each(seed, count):
    rows = random_rows(seed, count)
    twice = Rows(*[np.tile(column, 2) for column in rows])
    assert_terms(forward(twice), forward(rows))
    for double, once in zip(backward(twice), backward(rows), strict=True):
        assert_close(double, np.tile(once, 2) / 2)


@given(seeds, st.integers(1, 20))
def test_clipping_never_lowers_the_loss(seed, count):
    rows = random_rows(seed, count)
    clipped, unclipped = forward(rows), forward(rows, clip_coef=1e3)
    assert clipped["policy_loss"] >= unclipped["policy_loss"] - 1e-12
    assert clipped["value_loss"] >= unclipped["value_loss"] - 1e-12
    assert_close(unclipped["policy_loss"], -np.mean(rows.advantages * np.exp(rows.logprobs - rows.old_logprobs)))


@given(seeds, st.integers(1, 20))
def test_approx_kl_is_not_negative_and_clipfrac_is_a_share(seed, count):
    terms = forward(random_rows(seed, count))
    assert terms["approx_kl"] >= 0
    assert 0 <= terms["clipfrac"] <= 1


@both_dtypes
def test_approx_kl_entropy_and_clipfrac_by_hand(dtype):
    # Log-ratios log 2, -log 2 and 0: (2 - 1 - log 2) + (1/2 - 1 + log 2) + 0 = 1/2.
    terms = forward(rows_of(ratios=[2.0, 0.5, 1.0], entropies=[0.5, 1.0, 3.0]).astype(dtype))
    assert_close(terms["approx_kl"], 1 / 6, 1e-6)
    assert_close(terms["entropy"], 1.5, 1e-6)
    assert_close(terms["clipfrac"], 2 / 3)


@given(seeds, st.integers(1, 20), st.sampled_from([1e-2, 1.0, 1e2]))
def test_rounding_of_float32_flips_no_branch_inside_the_clip_ranges(seed, count, scale):
    rng = np.random.default_rng(seed)
    old_values = scale * rng.standard_normal(count)
    rows = Rows(
        logprobs=rng.uniform(-1.1, -0.9, count),
        entropies=rng.uniform(0, 1, count),
        values=old_values + rng.uniform(-0.99, 0.99, count) * CLIP,
        old_logprobs=np.full(count, -1.0),
        old_values=old_values,
        advantages=rng.standard_normal(count),
        returns=old_values + scale * rng.standard_normal(count),
    ).astype(np.float32)
    exact = rows.astype(np.float64)
    dlogprobs, _, dvalues = backward(rows)
    expected = -exact.advantages * np.exp(exact.logprobs - exact.old_logprobs) / count
    np.testing.assert_allclose(dlogprobs, expected, rtol=1e-6)
    np.testing.assert_allclose(dvalues, VF * (exact.values - exact.returns) / count, rtol=1e-6)


@given(seeds, st.integers(1, 20))
def test_terms_of_float32_rows_are_computed_in_float64(seed, count):
    rows = random_rows(seed, count).astype(np.float32)
    assert_terms(forward(rows), reference(rows))


@given(seeds)
def test_float32_gradient_agrees_with_float64(seed):
    rows = rows_in_every_region(seed)
    for rough, exact in zip(backward(rows.astype(np.float32), -1.3), backward(rows, -1.3), strict=True):
        assert_close(rough, exact, 1e-6)
