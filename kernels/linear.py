"""Linear layer y = x W + b, and its backward pass. BLAS computes the products of wide matrices with many rows."""

import numpy as np

from kernels._jit import COMPILED, kernel
from kernels.tiles import TILE_BYTES, product
from kernels.views import matrix

# Up to this many rows, the time to read W limits the speed. A plain loop reads W once and, unlike BLAS, does not pack
# it first. For one row BLAS is still faster (`pytest bench/kernels --benchmark-enable -k linear_forward`).
FEW_ROWS = 16 if COMPILED else 0  # without the JIT, loops are slow
NARROW = 8
FEW_INPUTS = 8 if COMPILED else 0  # BLAS packs both matrices first, which takes longer than such a thin product
WIDE = 65 if COMPILED else 0  # inputs or outputs of a layer from which on BLAS is as quick as tiles


@kernel
def _in_tiles(weight, columns):
    """Whether `product` is quicker than BLAS for a layer of these weights, and can give a result of so many columns."""
    narrow = max(weight.shape[0], weight.shape[1]) < WIDE
    return narrow and columns % (TILE_BYTES // weight.itemsize) == 0


@kernel
def _few_outputs(weight):
    """Whether a layer has so few outputs that loops are quicker than BLAS."""
    return weight.shape[1] < NARROW <= weight.shape[0] < WIDE


@kernel
def _transposed(weight):
    """W^T, (O, I): a copy, or a view of W if that has a single column."""
    if weight.shape[1] == 1:
        return matrix(weight, 0, 1, weight.shape[0])
    transposed = np.empty((weight.shape[1], weight.shape[0]), weight.dtype)
    for i in range(weight.shape[0]):
        for o in range(weight.shape[1]):
            transposed[o, i] = weight[i, o]
    return transposed


@kernel
def linear_forward(x, weight, bias, y):
    """Multiply a batch by a weight matrix and add the bias.

    y_bo = sum_i x_bi W_io + b_o

    Derivation: docs/gradients.md, "Linear layer".

    Args:
        x: inputs, (B, I).
        weight: W, (I, O).
        bias: b, (O,).
        y: output, (B, O), overwritten.
    """
    if _in_tiles(weight, weight.shape[1]):
        product(x, weight, bias, y)
    elif _few_outputs(weight):
        transposed = _transposed(weight)
        for b in range(y.shape[0]):
            for o in range(y.shape[1]):
                total = bias[o]
                for i in range(x.shape[1]):
                    total += x[b, i] * transposed[o, i]
                y[b, o] = total
    elif bias.shape[0] >= NARROW and (1 < x.shape[0] <= FEW_ROWS or x.shape[1] <= FEW_INPUTS):
        _thin_forward(x, weight, bias, y)
    else:
        np.dot(x, weight, y)
        for b in range(y.shape[0]):
            for o in range(y.shape[1]):
                y[b, o] += bias[o]


@kernel
def _thin_forward(x, weight, bias, y):
    """`linear_forward` as loops: y_b <- b + x_bi W_i for the first one to four rows i of W, then for four at a time."""
    inputs = x.shape[1]
    first = (inputs - 1) % 4 + 1
    i1, i2, i3 = min(1, first - 1), min(2, first - 1), min(3, first - 1)
    real = x.dtype.type
    times1, times2, times3 = real(first > 1), real(first > 2), real(first > 3)  # rows that are missing count 0 times
    for b in range(y.shape[0]):
        x0, x1, x2, x3 = x[b, 0], x[b, i1] * times1, x[b, i2] * times2, x[b, i3] * times3
        for o in range(y.shape[1]):
            y[b, o] = bias[o] + x0 * weight[0, o] + x1 * weight[i1, o] + x2 * weight[i2, o] + x3 * weight[i3, o]
    for i in range(first, inputs, 4):
        for b in range(y.shape[0]):
            x0, x1, x2, x3 = x[b, i], x[b, i + 1], x[b, i + 2], x[b, i + 3]
            for o in range(y.shape[1]):
                y[b, o] += x0 * weight[i, o] + x1 * weight[i + 1, o] + x2 * weight[i + 2, o] + x3 * weight[i + 3, o]


@kernel
def linear_backward_parameters(dy, x, dweight, dbias):
    """Gradient of the loss with respect to the parameters of the linear layer.

    dW = x^T dy,   db_o = sum_b dy_bo

    Derivation: docs/gradients.md, "Linear layer".

    Args:
        dy: gradient of the loss with respect to y, (B, O).
        x: inputs of the forward pass, (B, I).
        dweight: output, (I, O), overwritten.
        dbias: output, (O,), overwritten.
    """
    few_outputs = _few_outputs(dweight)
    if few_outputs or (x.shape[1] <= FEW_INPUTS and dbias.shape[0] >= NARROW):
        # Either x or dy has only a few columns. dW^T = dy^T x is the same sum with x and dy exchanged.
        transposed = np.empty((dweight.shape[1], dweight.shape[0]) if few_outputs else (0, 0), dweight.dtype)
        wide, thin, product_of_both = (x, dy, transposed) if few_outputs else (dy, x, dweight)
        _thin_backward(wide, thin, product_of_both)
        for o in range(transposed.shape[0]):
            for i in range(transposed.shape[1]):
                dweight[i, o] = transposed[o, i]
    elif _in_tiles(dweight, dweight.shape[1]):
        product(x.T, dy, np.zeros(dbias.shape[0], dbias.dtype), dweight)
    else:
        np.dot(x.T, dy, dweight)
    _sum_rows(dy, dbias)


@kernel
def _thin_backward(dy, x, dweight):
    """dW of `linear_backward_parameters` as loops: dW_i <- 0, then dW_i <- dW_i + x_bi dy_b for four rows b at once."""
    rows = dy.shape[0]
    quads = rows - rows % 4
    dweight[:] = 0
    for b in range(0, quads, 4):
        for i in range(x.shape[1]):
            x0, x1, x2, x3 = x[b, i], x[b + 1, i], x[b + 2, i], x[b + 3, i]
            for o in range(dy.shape[1]):
                dweight[i, o] += x0 * dy[b, o] + x1 * dy[b + 1, o] + x2 * dy[b + 2, o] + x3 * dy[b + 3, o]
    for b in range(quads, rows):
        for i in range(x.shape[1]):
            for o in range(dy.shape[1]):
                dweight[i, o] += x[b, i] * dy[b, o]


@kernel
def _sum_rows(dy, dbias):
    """db of `linear_backward_parameters`: db <- 0, then db <- db + dy_b for four rows b at once."""
    rows = dy.shape[0]
    quads = rows - rows % 4
    dbias[:] = 0
    for b in range(0, quads, 4):
        for o in range(dy.shape[1]):
            dbias[o] += dy[b, o] + dy[b + 1, o] + dy[b + 2, o] + dy[b + 3, o]
    for b in range(quads, rows):
        for o in range(dy.shape[1]):
            dbias[o] += dy[b, o]


@kernel
def linear_backward_input(dy, weight, dx):
    """Gradient of the loss with respect to the input of the linear layer.

    dx = dy W^T

    Derivation: docs/gradients.md, "Linear layer".

    Args:
        dy: gradient of the loss with respect to y, (B, O).
        weight: W, (I, O).
        dx: output, (B, I), overwritten.
    """
    if _in_tiles(weight, dx.shape[1]):
        product(dy, _transposed(weight), np.zeros(dx.shape[1], dx.dtype), dx)
    else:
        np.dot(dy, weight.T, dx)
