"""Lesson 3: a linear layer and its backward pass.

B rows, I inputs, O outputs. dy is the upstream gradient: the derivative of the loss with respect to y, shape (B, O).
"""


def linear_forward(x, weight, bias):
    """Multiply each row by the weight matrix and add the bias.

    y_bo = sum_i x_bi W_io + b_o

    Args:
        x: inputs, (B, I).
        weight: W, (I, O).
        bias: b, (O,).

    Returns:
        y, (B, O).
    """
    return x @ weight + bias


def linear_backward(dy, x, weight):
    """Gradient of the loss with respect to the weight, the bias and the input of a linear layer.

    The loss is one number for all rows: a mean over the rows, if there is one, is in dy already.

    Args:
        dy: upstream gradient, (B, O).
        x: inputs of the forward pass, (B, I).
        weight: W, (I, O).

    Returns:
        dweight (I, O), dbias (O,), dx (B, I).
    """
    dweight = x.T @ dy
    dbias = dy.sum(axis=0)
    dx = dy @ weight.T
    return dweight, dbias, dx
