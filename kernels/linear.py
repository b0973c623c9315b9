"""Linear layer y = x W + b, and its derivative. The matrix products run in BLAS."""

import numpy as np

from kernels._jit import kernel


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
    np.dot(x, weight, y)
    for b in range(y.shape[0]):
        for o in range(y.shape[1]):
            y[b, o] += bias[o]


@kernel
def linear_backward_parameters(dy, x, dweight, dbias):
    """Derivative of the linear layer by its parameters.

    dW = x^T dy,   db_o = sum_b dy_bo

    Derivation: docs/gradients.md, "Linear layer".

    Args:
        dy: gradient of the loss by y, (B, O).
        x: inputs of the forward pass, (B, I).
        dweight: output, (I, O), overwritten.
        dbias: output, (O,), overwritten.
    """
    np.dot(x.T, dy, dweight)
    dbias[:] = 0
    for b in range(dy.shape[0]):
        for o in range(dy.shape[1]):
            dbias[o] += dy[b, o]


@kernel
def linear_backward_input(dy, weight, dx):
    """Derivative of the linear layer by its input.

    dx = dy W^T

    Derivation: docs/gradients.md, "Linear layer".

    Args:
        dy: gradient of the loss by y, (B, O).
        weight: W, (I, O).
        dx: output, (B, I), overwritten.
    """
    np.dot(dy, weight.T, dx)
