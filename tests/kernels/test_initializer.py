"""Orthogonal initialisation: W^T W = gain^2 on the shorter side, and a unique, uniformly distributed W."""

import numpy as np
import pytest
from conftest import assert_close, garbage, run, seeds, single
from hypothesis import given
from hypothesis import strategies as st

from kernels.initializer import orthogonal

GAIN = 1.7
sides = st.integers(1, 6)
gains = st.floats(0.01, 3)


def draw(seed, inputs, outputs):
    return np.random.default_rng(seed).standard_normal((max(inputs, outputs), min(inputs, outputs)))


def initialized(normals, inputs, outputs, gain=GAIN, dtype=np.float64):
    return run(orthogonal, (normals, gain), garbage((inputs, outputs), dtype))


def gram_schmidt(normals):
    """Q of normals = Q U with a positive diagonal of U: column by column, no library's factorisation."""
    q = np.zeros_like(normals)
    for j, column in enumerate(normals.T):
        rest = column - q @ (q.T @ column)
        q[:, j] = rest / np.linalg.norm(rest)
    return q


@given(seeds, sides, sides, gains)
def test_vectors_of_the_shorter_side_are_orthogonal_of_length_gain(seed, inputs, outputs, gain):
    weight = initialized(draw(seed, inputs, outputs), inputs, outputs, gain)
    tall = weight if inputs >= outputs else weight.T
    assert_close(tall.T @ tall, gain**2 * np.eye(min(inputs, outputs)))


@given(seeds, sides, sides)
def test_agrees_with_gram_schmidt(seed, inputs, outputs):
    normals = draw(seed, inputs, outputs)
    q = gram_schmidt(normals)
    expected = GAIN * (q if inputs >= outputs else q.T)
    # Gram-Schmidt loses digits where columns are nearly dependent.
    tolerance = 1e-13 * np.linalg.cond(normals) ** 2
    assert_close(initialized(normals, inputs, outputs), expected, tolerance)


@given(seeds, sides, sides)
def test_weight_times_normals_is_triangular_with_a_positive_diagonal(seed, inputs, outputs):
    normals = draw(seed, inputs, outputs)
    weight = initialized(normals, inputs, outputs, gain=1.0)
    upper = (weight.T if inputs >= outputs else weight) @ normals
    assert_close(upper, np.triu(upper))
    assert np.all(np.diag(upper) > 0)


@pytest.mark.parametrize("length", [1, 5])
def test_a_single_column_is_scaled_to_length_gain(length):
    normals = draw(0, length, 1)
    expected = GAIN * normals / np.linalg.norm(normals)
    assert_close(initialized(normals, length, 1), expected)
    assert_close(initialized(normals, 1, length), expected.T)


@given(seeds, st.integers(2, 6))
def test_weight_is_not_the_identity(seed, side):
    weight = initialized(draw(seed, side, side), side, side, gain=1.0)
    assert np.max(np.abs(weight - np.eye(side))) > 1e-3


def test_signs_are_balanced():
    """Over many matrices each entry's mean is 0: Householder's raw Q has one sign on its diagonal far more often."""
    count = 400
    weights = [initialized(draw(seed, 2, 2), 2, 2, gain=1.0) for seed in range(count)]
    assert np.max(np.abs(np.mean(weights, axis=0))) < 5 * np.sqrt(0.5 / count)


@given(seeds, sides, sides)
def test_float32_is_float64_rounded(seed, inputs, outputs):
    normals = draw(seed, inputs, outputs)
    exact = initialized(normals, inputs, outputs)
    np.testing.assert_array_equal(initialized(normals, inputs, outputs, dtype=np.float32), *single(exact))
