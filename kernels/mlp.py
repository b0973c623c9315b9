"""Multi-layer perceptron: linear layers with an activation between them. The backward pass is backpropagation."""

from kernels._jit import kernel
from kernels.activation import activation_backward, activation_forward
from kernels.linear import linear_backward_input, linear_backward_parameters, linear_forward


@kernel
def mlp_forward(x, weights, biases, activation, activate_last, outputs):
    """Forward pass of a batch through the layers. The output of each layer is kept for the backward pass.

    h_0 = x,   h_l = f(h_{l-1} W_l + b_l),   f the activation (the identity in the last layer unless `activate_last`)

    Derivation: docs/gradients.md, "The stack of layers, and the fork".

    Args:
        x: inputs, (B, D).
        weights: tuple of W_l, (I_l, O_l) each, with I_1 = D and I_{l+1} = O_l.
        biases: tuple of b_l, (O_l,) each.
        activation: RELU or TANH.
        activate_last: whether the activation also follows the last layer.
        outputs: tuple of h_l, (B, O_l) each, overwritten.
    """
    last = len(weights) - 1
    h = x
    for l in range(len(weights)):
        linear_forward(h, weights[l], biases[l], outputs[l])
        if l < last or activate_last:
            activation_forward(outputs[l], activation)
        h = outputs[l]


@kernel
def mlp_backward(doutputs, x, outputs, weights, activation, activate_last, dweights, dbiases):
    """Gradient of the loss with respect to all parameters of the MLP, from the last layer to the first.

    dz_l = dh_l f'(z_l),   dW_l = h_{l-1}^T dz_l,   db_l = sum_b dz_l,   dh_{l-1} = dz_l W_l^T

    The gradient with respect to the input x is not computed here. If it is needed, as for a tower on a shared trunk,
    call `linear_backward_input(doutputs[0], weights[0], dx)` afterwards.

    Derivation: docs/gradients.md, "The stack of layers, and the fork".

    Args:
        doutputs: tuple of (B, O_l) arrays. The last one is the gradient of the loss with respect to the last output.
            All are overwritten with dz_l.
        x, outputs, weights, activation, activate_last: as in the forward pass.
        dweights: tuple of outputs (I_l, O_l), overwritten.
        dbiases: tuple of outputs (O_l,), overwritten.
    """
    last = len(weights) - 1
    for l in range(last, -1, -1):
        dz = doutputs[l]
        if l < last or activate_last:
            activation_backward(dz, outputs[l], activation)
        if l > 0:
            linear_backward_parameters(dz, outputs[l - 1], dweights[l], dbiases[l])
            linear_backward_input(dz, weights[l], doutputs[l - 1])
        else:
            linear_backward_parameters(dz, x, dweights[l], dbiases[l])
