"""The worked functions of lessons 1 to 5 and 17 equal the kernels in float64."""

from itertools import pairwise

import numpy as np
import pytest

from kernels.activation import RELU, TANH, activation_number, relu_backward, relu_forward, tanh_backward, tanh_forward
from kernels.categorical import log_softmax
from kernels.initializer import orthogonal
from kernels.linear import linear_backward_input, linear_backward_parameters, linear_forward
from kernels.mlp import mlp_backward, mlp_forward
from ppo_np.course.lesson import WORKED, lessons, load


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def worked(number):
    lesson = lessons()[number]
    return load(lesson.source, WORKED / f"{lesson.name}.py", [WORKED])


def close(ours, kernels):
    np.testing.assert_allclose(ours, kernels, rtol=1e-12, atol=1e-12)


def test_differences_of_a_kernel_agree_with_its_backward_pass(rng):
    z, dh = rng.standard_normal((2, 3, 4))
    h, dz = z.copy(), dh.copy()
    tanh_forward(h)
    tanh_backward(dz, h)

    def loss(x):
        y = x.copy()
        tanh_forward(y)
        return (dh * y).sum()

    np.testing.assert_allclose(worked(1).numeric_gradient(loss, z, 1e-5), dz, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "forward", "backward"), [("relu", relu_forward, relu_backward), ("tanh", tanh_forward, tanh_backward)]
)
def test_activations(name, forward, backward, rng):
    mine = vars(worked(2))
    z, dh = 2 * rng.standard_normal((2, 5, 6))
    z[0, 0] = 0.0
    h, dz = z.copy(), dh.copy()
    forward(h)
    backward(dz, h)
    close(mine[f"{name}_forward"](z), h)
    close(mine[f"{name}_backward"](dh, h), dz)


@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(5, 4, 3), (3, 9, 9), (1, 2, 8)])
def test_linear_layer(rows, inputs, outputs, rng):
    mine = worked(3)
    x, dy = rng.standard_normal((rows, inputs)), rng.standard_normal((rows, outputs))
    weight, bias = rng.standard_normal((inputs, outputs)), rng.standard_normal(outputs)
    y, dweight, dbias, dx = np.empty_like(dy), np.empty_like(weight), np.empty_like(bias), np.empty_like(x)
    linear_forward(x, weight, bias, y)
    linear_backward_parameters(dy, x, dweight, dbias)
    linear_backward_input(dy, weight, dx)
    close(mine.linear_forward(x, weight, bias), y)
    for ours, kernels in zip(mine.linear_backward(dy, x, weight), (dweight, dbias, dx), strict=True):
        close(ours, kernels)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("activate_last", [False, True])
def test_mlp(activation, activate_last, rng):
    mine = worked(4)
    widths, rows = (4, 6, 6, 3), 5
    layers = [(rng.standard_normal((i, o)), rng.standard_normal(o)) for i, o in pairwise(widths)]
    weights, biases = zip(*layers, strict=True)
    x, dy = rng.standard_normal((rows, widths[0])), rng.standard_normal((rows, widths[-1]))
    outputs, doutputs = (tuple(np.empty((rows, width)) for width in widths[1:]) for _ in range(2))
    dweights, dbiases = (tuple(np.empty_like(part) for part in parts) for parts in (weights, biases))
    number = activation_number(activation)
    assert number == {"relu": RELU, "tanh": TANH}[activation]
    plain(mlp_forward)(x, weights, biases, number, activate_last, outputs)
    doutputs[-1][:] = dy
    plain(mlp_backward)(doutputs, x, outputs, weights, number, activate_last, dweights, dbiases)
    dx = doutputs[0] @ weights[0].T
    ours = mine.mlp_forward(x, layers, activation, activate_last)
    assert ours[0] is x
    for one, kernels in zip(ours[1:], outputs, strict=True):
        close(one, kernels)
    dlayers, our_dx = mine.mlp_backward(dy, [x, *outputs], layers, activation, activate_last)
    close(our_dx, dx)
    for (dweight, dbias), kernel_dweight, kernel_dbias in zip(dlayers, dweights, dbiases, strict=True):
        close(dweight, kernel_dweight)
        close(dbias, kernel_dbias)


def plain(kernel):
    """The Python function of a kernel: compiling it for a tuple of each length takes long."""
    return getattr(kernel, "py_func", kernel)


def test_log_softmax(rng):
    logits = np.concatenate([rng.standard_normal((4, 5)), 1e3 * rng.standard_normal((3, 5))])
    log_probs = np.empty_like(logits)
    log_softmax(logits, log_probs)
    close(worked(5).log_softmax(logits), log_probs)


@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6), (1, 1)])
def test_orthogonal(shape, rng):
    normals = rng.standard_normal((max(shape), min(shape)))
    weight = np.empty(shape)
    orthogonal(normals, 1.5, weight)
    close(worked(17).orthogonal(normals, 1.5, shape), weight)
