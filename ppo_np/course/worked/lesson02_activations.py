"""Lesson 2: the activations ReLU and tanh, and their backward passes.

B rows, O units. dh is the upstream gradient: the derivative of the loss with respect to h, shape (B, O).
A backward pass gets dh and the output h of the forward pass; it does not get z.
"""

import numpy as np


def relu_forward(z):
    """ReLU: a negative number becomes 0, any other number stays.

    h_bo = max(z_bo, 0)

    Args:
        z: (B, O).

    Returns:
        h, a new array (B, O).
    """
    return np.maximum(z, 0.0)


def relu_backward(dh, h):
    """Gradient of the loss with respect to z, through h = relu(z). The slope at the kink z = 0 is taken as 0.

    Args:
        dh: upstream gradient, (B, O).
        h: output of the forward pass, (B, O), >= 0.

    Returns:
        dz, a new array (B, O).
    """
    passes = h > 0
    return dh * passes


def tanh_forward(z):
    """Hyperbolic tangent. No z, however large or small, may overflow.

    h_bo = tanh(z_bo) = (exp(z_bo) - exp(-z_bo)) / (exp(z_bo) + exp(-z_bo))

    Args:
        z: (B, O).

    Returns:
        h, a new array (B, O), in [-1, 1].
    """
    return np.tanh(z)


def tanh_backward(dh, h):
    """Gradient of the loss with respect to z, through h = tanh(z).

    Args:
        dh: upstream gradient, (B, O).
        h: output of the forward pass, (B, O), in [-1, 1].

    Returns:
        dz, a new array (B, O).
    """
    slope = 1.0 - h**2
    return dh * slope
