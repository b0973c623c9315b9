"""The steps through the layers: to dz, the gradient with respect to a layer before its activation, and to W and b."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kernels.activation import RELU
from ppo_np.checking.gradient_step import BackwardPass, Step

Array = np.ndarray
Above = Sequence[tuple[Array, Array]]  # for each layer above: its dz, (B, O), and its W, (I, O)


def activation_step(p: BackwardPass, output: Array, above: Above, others: Mapping[str, Array]) -> Step:
    """dz = (sum over the layers above of dz_above W_above^T) f'(z), for a layer that is no head.

    Args:
        p: the pass.
        output: h = f(z), (B, O).
        above: the next layer of the tower; two at the fork.
        others: name -> outputs of other layers, (B, O'), which could be mistaken for this one's.
    """
    relu = p.model.activation == RELU
    derivative = _relu_derivative if relu else _tanh_derivative

    def dz(
        derivative: Array | float, transposed: Callable[[Array], Array] = np.transpose, above: Above = above
    ) -> Array:
        return np.sum([dz_above @ transposed(w) for dz_above, w in above], axis=0) * derivative

    right = derivative(output)
    mistakes = [
        ("the activation's derivative is taken as 1 everywhere", dz(1)),
        ("the activation's output stands in it instead of its derivative", dz(output)),
        ("the activation's derivative is multiplied twice", dz(right * right)),
    ]
    if relu:
        mistakes += [("ReLU's derivative is 1 where it must be 0, and 0 where it must be 1", dz(1 - right))]
    else:
        mistakes += [
            ("the derivative of tanh is taken as 1 - y instead of 1 - y^2", dz(1 - output)),
            ("the derivative of tanh is taken as 1 + y^2 instead of 1 - y^2", dz(1 + output**2)),
            ("the derivative of tanh is taken as y (1 - y): that is the sigmoid's", dz(output * (1 - output))),
            ("the derivative of tanh is taken as ReLU's", dz(_relu_derivative(output))),
        ]
    for name, other in others.items():
        if other.shape == output.shape:
            mistakes.append((f"the activation's derivative is taken at the output of {name}", dz(derivative(other))))
    mistakes += [
        ("W of the layer above is not transposed: dz W instead of dz W^T", dz(right, _kept_if_square)),
        ("W of the layer above is reshaped instead of transposed", dz(right, _reshaped)),
    ]
    if len(above) == 2:
        policy, (dz_value, w_value) = above
        mistakes += [
            ("the value tower's gradient is not added at the fork", dz(right, above=above[:1])),
            ("the policy tower's gradient is not added at the fork", dz(right, above=above[1:])),
            ("the towers' gradients are subtracted at the fork", dz(right, above=[policy, (-dz_value, w_value)])),
        ]
    return Step(dz(right), len(output), mistakes)


def _kept_if_square(weight: Array) -> Array:
    return weight if weight.shape[0] == weight.shape[1] else weight.T


def _reshaped(weight: Array) -> Array:
    return weight.T if weight.shape[0] == weight.shape[1] else weight.reshape(weight.shape[::-1])


def _relu_derivative(output: Array) -> Array:
    return (output > 0) * 1.0


def _tanh_derivative(output: Array) -> Array:
    return 1 - output**2


def parameter_steps(x: Array, dz: Array, output: Array) -> dict[str, Step]:
    """dW = x^T dz and db = sum_b dz of a layer with the input x, (B, I), and the given dz, (B, O)."""
    rows = len(x)
    dweight, dbias = x.T @ dz, dz.sum(axis=0)
    of_weight = []
    if output.shape == x.shape:
        of_weight = [("the layer's output stands in it instead of its input", output.T @ dz)]
    of_bias = [
        ("it is the mean over the rows instead of their sum: the loss has taken the mean already", dbias / rows),
        ("it is 0 everywhere: nothing was computed, or everything was cut off", np.zeros_like(dbias)),
    ]
    return {"weight": Step(dweight, rows, of_weight), "bias": Step(dbias, rows, of_bias)}
