"""The multi-layer perceptron: its outputs, and its derivative by every weight, bias and input."""

import functools
import itertools

import numpy as np
import pytest
from conftest import assert_close, garbage, garbage_like, run, seeds, single
from finite_difference import assert_gradient, crosses_a_kink, numeric_gradient
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bench.reference.mlp import numpy_mlp_backward, numpy_mlp_forward
from kernels.activation import RELU, TANH
from kernels.linear import linear_backward_input, linear_forward
from kernels.mlp import mlp_backward, mlp_forward

widths = st.integers(1, 4)
one_or_three_layers = st.tuples(widths, widths) | st.tuples(widths, widths, widths, widths)
every_kind = pytest.mark.parametrize(
    ("activation", "activate_last"), [(RELU, True), (RELU, False), (TANH, True), (TANH, False)]
)


def draw(seed, rows, layer_sizes):
    """x, the weights, the biases, and dh by the last output."""
    rng = np.random.default_rng(seed)
    fans = list(itertools.pairwise(layer_sizes))
    weights = tuple(rng.standard_normal(fan) for fan in fans)
    biases = tuple(rng.standard_normal(outputs) for _, outputs in fans)
    return rng.standard_normal((rows, layer_sizes[0])), weights, biases, rng.standard_normal((rows, layer_sizes[-1]))


def forward(x, weights, biases, activation, activate_last):
    """Every layer's output."""
    outputs = tuple(garbage((len(x), len(bias)), x.dtype) for bias in biases)
    return run(mlp_forward, (x, weights, biases, activation, activate_last), outputs)


def backward(dh, x, outputs, weights, activation, activate_last):
    """dz of every layer, dW and db of every layer."""
    doutputs = (*[garbage_like(h) for h in outputs[:-1]], dh.copy())
    dweights = tuple(garbage_like(weight) for weight in weights)
    dbiases = tuple(garbage(weight.shape[1], weight.dtype) for weight in weights)
    kernel = functools.partial(mlp_backward, doutputs)
    run(kernel, (x, outputs, weights, activation, activate_last), dweights, dbiases)
    return doutputs, dweights, dbiases


def reference_forward(x, weights, biases, activation, activate_last):
    outputs = tuple(np.zeros((len(x), len(bias))) for bias in biases)
    numpy_mlp_forward(x, weights, biases, activation, activate_last, outputs)
    return outputs


def reference_backward(dh, x, outputs, weights, activation, activate_last):
    """dz of every layer, dW and db of every layer."""
    doutputs = (*[np.zeros_like(h) for h in outputs[:-1]], dh.copy())
    dweights, dbiases = tuple(map(np.zeros_like, weights)), tuple(np.zeros(weight.shape[1]) for weight in weights)
    numpy_mlp_backward(doutputs, x, outputs, weights, activation, activate_last, dweights, dbiases)
    return doutputs, dweights, dbiases


def assert_gradients_agree_with_numpy(dh, x, outputs, weights, activation, activate_last):
    arguments = dh, x, outputs, weights, activation, activate_last
    for found, expected in zip(backward(*arguments), reference_backward(*arguments), strict=True):
        for tensor, reference in zip(found, expected, strict=True):
            assert_close(tensor, reference)


@every_kind
@settings(max_examples=12)
@given(seeds, st.integers(1, 3), one_or_three_layers)
def test_gradient_of_every_coordinate(activation, activate_last, seed, rows, layer_sizes):
    x, weights, biases, dh = draw(seed, rows, layer_sizes)

    def outputs():
        return forward(x, weights, biases, activation, activate_last)

    def active_units():
        return np.concatenate([h.reshape(-1) > 0 for h in outputs()])

    tensors = (x, *weights, *biases)
    assume(activation == TANH or not any(crosses_a_kink(active_units, tensor) for tensor in tensors))
    doutputs, dweights, dbiases = backward(dh, x, outputs(), weights, activation, activate_last)
    dx = run(linear_backward_input, (doutputs[0], weights[0]), garbage_like(x))
    for tensor, analytic in zip(tensors, (dx, *dweights, *dbiases), strict=True):
        assert_gradient(analytic, numeric_gradient(lambda: np.sum(dh * outputs()[-1]), tensor))


@every_kind
@given(seeds, widths, one_or_three_layers)
def test_agrees_with_numpy(activation, activate_last, seed, rows, layer_sizes):
    x, weights, biases, dh = draw(seed, rows, layer_sizes)
    outputs = forward(x, weights, biases, activation, activate_last)
    for h, expected in zip(outputs, reference_forward(x, weights, biases, activation, activate_last), strict=True):
        assert_close(h, expected)
    assert_gradients_agree_with_numpy(dh, x, outputs, weights, activation, activate_last)


@pytest.mark.parametrize("layer_sizes", [(3, 4, 2), (2, 3, 4, 2, 3)], ids=["two layers", "four layers"])
def test_other_depths_agree_with_numpy(layer_sizes):
    x, weights, biases, dh = draw(0, 3, layer_sizes)
    outputs = forward(x, weights, biases, TANH, False)
    assert_close(outputs[-1], reference_forward(x, weights, biases, TANH, False)[-1])
    assert_gradients_agree_with_numpy(dh, x, outputs, weights, TANH, False)


@given(seeds, widths, st.tuples(widths, widths))
def test_one_layer_without_activation_is_the_linear_layer(seed, rows, layer_sizes):
    x, weights, biases, dh = draw(seed, rows, layer_sizes)
    expected = run(linear_forward, (x, weights[0], biases[0]), garbage_like(dh))
    np.testing.assert_array_equal(forward(x, weights, biases, RELU, False)[0], expected)


@every_kind
@given(seeds, st.tuples(widths, widths, widths, widths))
def test_rows_do_not_see_one_another(activation, activate_last, seed, layer_sizes):
    x, weights, biases, _ = draw(seed, 3, layer_sizes)
    batch = forward(x, weights, biases, activation, activate_last)[-1]
    rows = [forward(x[b : b + 1], weights, biases, activation, activate_last)[-1][0] for b in range(3)]
    assert_close(batch, np.array(rows))


@every_kind
@given(seeds)
def test_gradients_of_rows_add_up(activation, activate_last, seed):
    x, weights, biases, dh = draw(seed, 2, (3, 4, 2, 3))

    def gradients(x, dh):
        outputs = forward(x, weights, biases, activation, activate_last)
        _, dweights, dbiases = backward(dh, x, outputs, weights, activation, activate_last)
        return dweights + dbiases

    for whole, first, second in zip(gradients(x, dh), gradients(x[:1], dh[:1]), gradients(x[1:], dh[1:]), strict=True):
        assert_close(whole, first + second)


@every_kind
@given(seeds)
def test_float32_agrees_with_float64(activation, activate_last, seed):
    x, weights, biases, dh = draw(seed, 3, (3, 4, 2, 3))
    x_, dh_, weights_, biases_ = *single(x, dh), single(*weights), single(*biases)
    outputs = forward(x, weights, biases, activation, activate_last)
    outputs_ = forward(x_, weights_, biases_, activation, activate_last)
    exact = backward(dh, x, outputs, weights, activation, activate_last)
    rough = backward(dh_, x_, outputs_, weights_, activation, activate_last)
    for rough_tensors, exact_tensors in zip((outputs_, *rough), (outputs, *exact), strict=True):
        for rough_tensor, exact_tensor in zip(rough_tensors, exact_tensors, strict=True):
            assert_close(rough_tensor, exact_tensor, 1e-4)
