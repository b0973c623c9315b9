"""Activations ReLU and tanh, and their derivatives written in terms of the *output* y.

Neither derivative needs the input x: a layer keeps one array a batch, and the forward pass may overwrite x by y,
the backward pass dy by dx.
"""

import math

from kernels._jit import kernel

RELU = 0
TANH = 1

# tanh(x) = x P(x^2) / Q(x^2) on [-7.9, 7.9], a minimax fit of relative error 1.6e-9 (`python bench/fit_tanh.py`).
TANH_LIMIT = 7.9
P0, P1, P2, P3 = 0.9999999984659022, 0.13128122267533893, 0.0031536372289210483, 1.168941063886501e-05
P4, P5, P6 = -2.2525008177522443e-08, 6.482586439058846e-11, -1.1923763782230535e-13
Q1, Q2, Q3 = 0.46461454003444, 0.024691844952447285, 0.00026193162417475634


@kernel
def relu_forward(x, y):
    """Rectify: y = max(x, 0). A NaN stays NaN.

    Args:
        x: inputs, (B, I).
        y: output, (B, I), overwritten; may be x itself.
    """
    zero = x.dtype.type(0)
    for b in range(x.shape[0]):
        for i in range(x.shape[1]):
            y[b, i] = zero if x[b, i] < zero else x[b, i]


@kernel
def relu_backward(dy, y, dx):
    """Derivative of ReLU, 0 at the kink.

    dx = dy where y > 0, else 0

    Args:
        dy: gradient of the loss by y, (B, I).
        y: output of the forward pass, (B, I).
        dx: output, (B, I), overwritten; may be dy itself.
    """
    zero = dy.dtype.type(0)
    for b in range(y.shape[0]):
        for i in range(y.shape[1]):
            dx[b, i] = dy[b, i] if y[b, i] > zero else zero


@kernel
def tanh_forward(x, y):
    """Hyperbolic tangent y = tanh(x).

    float64 uses the library's function. float32 uses a rational function of degree 13 over 6 in Horner's form, which
    the compiler turns into SIMD code (the library's function it can't); its largest error is 3.4e-7.

    Args:
        x: inputs, (B, I).
        y: output, (B, I), overwritten; may be x itself.
    """
    if x.itemsize == 4:
        _tanh_rational(x, y)
    else:
        for b in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[b, i] = math.tanh(x[b, i])


@kernel
def _tanh_rational(x, y):
    """y = x P(x^2) / Q(x^2) with x clamped to +-TANH_LIMIT. A NaN stays NaN."""
    real = x.dtype.type
    limit, one = real(TANH_LIMIT), real(1)
    p0, p1, p2, p3, p4, p5, p6 = real(P0), real(P1), real(P2), real(P3), real(P4), real(P5), real(P6)
    q1, q2, q3 = real(Q1), real(Q2), real(Q3)
    for b in range(x.shape[0]):
        for i in range(x.shape[1]):
            z = x[b, i]
            z = limit if z > limit else z
            z = -limit if z < -limit else z
            s = z * z
            p = (((((p6 * s + p5) * s + p4) * s + p3) * s + p2) * s + p1) * s + p0
            q = ((q3 * s + q2) * s + q1) * s + one
            y[b, i] = z * p / q


@kernel
def tanh_backward(dy, y, dx):
    """Derivative of tanh.

    dx = dy (1 - y^2)

    Args:
        dy: gradient of the loss by y, (B, I).
        y: output of the forward pass, (B, I).
        dx: output, (B, I), overwritten; may be dy itself.
    """
    one = dy.dtype.type(1)
    for b in range(y.shape[0]):
        for i in range(y.shape[1]):
            dx[b, i] = dy[b, i] * (one - y[b, i] * y[b, i])


@kernel
def activation_forward(x, activation, y):
    """y = ReLU(x) if `activation` is RELU, else tanh(x). Shapes as in `relu_forward`."""
    if activation == RELU:
        relu_forward(x, y)
    else:
        tanh_forward(x, y)


@kernel
def activation_backward(dy, y, activation, dx):
    """dx of the activation that `activation` names. Shapes as in `relu_backward`."""
    if activation == RELU:
        relu_backward(dy, y, dx)
    else:
        tanh_backward(dy, y, dx)


def activation_number(name: str) -> int:
    """RELU or TANH for "relu" or "tanh"; KeyError for another name."""
    return {"relu": RELU, "tanh": TANH}[name]


__all__ = [
    "RELU",
    "TANH",
    "activation_backward",
    "activation_forward",
    "activation_number",
    "relu_backward",
    "relu_forward",
    "tanh_backward",
    "tanh_forward",
]
