"""Activations ReLU and tanh, and their derivatives written in terms of the *output*. Both work in place.

The forward pass overwrites the linear output z of a layer with h = f(z). The backward pass overwrites dh with dz.
Neither derivative needs z, so a layer keeps one array per batch. Working in place is also faster: with separate arrays
the compiler has to assume that input and output can overlap, and then does not use SIMD.
"""

import math

from kernels._jit import kernel

RELU = 0
TANH = 1

# tanh(x) = x P(x^2) / Q(x^2) on [-7.9, 7.9], a minimax fit (`python -m bench.reference.fit_tanh`) with error 1.6e-9.
TANH_LIMIT = 7.9
P0, P1, P2, P3 = 0.9999999984659022, 0.13128122267533893, 0.0031536372289210483, 1.168941063886501e-05
P4, P5, P6 = -2.2525008177522443e-08, 6.482586439058846e-11, -1.1923763782230535e-13
Q1, Q2, Q3 = 0.46461454003444, 0.024691844952447285, 0.00026193162417475634


@kernel
def relu_forward(h):
    """ReLU of a layer's output. A NaN stays NaN.

    h_bo <- max(h_bo, 0)

    Derivation: docs/gradients.md, "Activations".

    Args:
        h: (B, O), modified in place.
    """
    zero = h.dtype.type(0)
    for b in range(h.shape[0]):
        for o in range(h.shape[1]):
            # |h| is h where it is used. With h itself, the compiler would store only the zeros, and not use SIMD.
            h[b, o] = zero if h[b, o] < zero else abs(h[b, o])


@kernel
def relu_backward(dh, h):
    """Backward pass of ReLU. The derivative at the kink is 0.

    dh_bo <- dh_bo if h_bo > 0, else 0

    Derivation: docs/gradients.md, "Activations".

    Args:
        dh: gradient of the loss with respect to the output, (B, O), modified in place to that with respect to z.
        h: output of the forward pass, (B, O).
    """
    zero = dh.dtype.type(0)
    for b in range(h.shape[0]):
        for o in range(h.shape[1]):
            dh[b, o] = dh[b, o] if h[b, o] > zero else zero


@kernel
def tanh_forward(h):
    """Hyperbolic tangent of a layer's output.

    h_bo <- tanh(h_bo)

    float64 uses the library's function. float32 uses a rational function of degree 13 over 6 in Horner's form, which
    the compiler turns into SIMD code. It cannot do this with the library's function. The largest error is 3.4e-7.
    Derivation: docs/gradients.md, "Activations".

    Args:
        h: (B, O), modified in place.
    """
    if h.itemsize == 4:
        _tanh_rational(h)
    else:
        for b in range(h.shape[0]):
            for o in range(h.shape[1]):
                h[b, o] = math.tanh(h[b, o])


@kernel
def _tanh_rational(h):
    """h <- x P(x^2) / Q(x^2) with x = h clamped to +-TANH_LIMIT. A NaN stays NaN."""
    real = h.dtype.type
    limit, one = real(TANH_LIMIT), real(1)
    p0, p1, p2, p3, p4, p5, p6 = real(P0), real(P1), real(P2), real(P3), real(P4), real(P5), real(P6)
    q1, q2, q3 = real(Q1), real(Q2), real(Q3)
    for b in range(h.shape[0]):
        for o in range(h.shape[1]):
            x = h[b, o]
            x = limit if x > limit else x
            x = -limit if x < -limit else x
            s = x * x
            p = (((((p6 * s + p5) * s + p4) * s + p3) * s + p2) * s + p1) * s + p0
            q = ((q3 * s + q2) * s + q1) * s + one
            h[b, o] = x * p / q


@kernel
def tanh_backward(dh, h):
    """Backward pass of tanh.

    dh_bo <- dh_bo (1 - h_bo^2)

    Derivation: docs/gradients.md, "Activations".

    Args:
        dh: gradient of the loss with respect to the output, (B, O), modified in place to that with respect to z.
        h: output of the forward pass, (B, O).
    """
    one = dh.dtype.type(1)
    for b in range(h.shape[0]):
        for o in range(h.shape[1]):
            dh[b, o] *= one - h[b, o] * h[b, o]


@kernel
def activation_forward(h, activation):
    """Apply the given activation with `relu_forward` or `tanh_forward`.

    h_bo <- f(h_bo),   f = ReLU or tanh

    Derivation: docs/gradients.md, "Activations".

    Args:
        h: (B, O), modified in place.
        activation: RELU or TANH.
    """
    if activation == RELU:
        relu_forward(h)
    else:
        tanh_forward(h)


@kernel
def activation_backward(dh, h, activation):
    """Backward pass of the given activation: `relu_backward` or `tanh_backward`.

    dh_bo <- dh_bo f'(z_bo),   f' in terms of h = f(z)

    Derivation: docs/gradients.md, "Activations".

    Args:
        dh: gradient of the loss with respect to the output, (B, O), modified in place to that with respect to z.
        h: output of the forward pass, (B, O).
        activation: RELU or TANH.
    """
    if activation == RELU:
        relu_backward(dh, h)
    else:
        tanh_backward(dh, h)


def activation_number(name: str) -> int:
    """Return RELU for "relu" and TANH for "tanh". Raises KeyError for another name."""
    return {"relu": RELU, "tanh": TANH}[name]
