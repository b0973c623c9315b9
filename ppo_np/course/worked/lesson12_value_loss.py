"""Lesson 12: the clipped value loss and its gradient.

B rows.
"""

import numpy as np


def value_loss(values, old_values, returns, clip_coef, clip_vloss):
    """Half the mean squared error; with clipping, of the larger one of two errors.

    L = 1/2 mean_b max((V_b - R_b)^2, (Vc_b - R_b)^2)
    Vc_b = V_old_b + clip(V_b - V_old_b, -epsilon, epsilon)

    Without clipping: L = 1/2 mean_b (V_b - R_b)^2.

    Args:
        values: V with the current parameters, (B,).
        old_values: V_old, from the rollout, (B,).
        returns: R, (B,).
        clip_coef: epsilon > 0.
        clip_vloss: whether to clip.

    Returns:
        The loss, a number.
    """
    squares = (values - returns) ** 2
    if clip_vloss:
        change = values - old_values
        moved = np.where(change > clip_coef, clip_coef, np.where(change < -clip_coef, -clip_coef, change))
        clipped_squares = (old_values + moved - returns) ** 2
        squares = np.where(clipped_squares > squares, clipped_squares, squares)
    return squares.mean() / 2


def value_loss_backward(dloss, values, old_values, returns, clip_coef, clip_vloss):
    """Gradient of the value loss with respect to the values. The returns are constants.

    On the edges of the clip range, and where both errors are equal, take the slope of the unclipped error.

    Args:
        dloss: upstream gradient of the loss, a number.
        values, old_values, returns, clip_coef, clip_vloss: as in the forward pass.

    Returns:
        dvalues (B,).
    """
    error = values - returns
    change = values - old_values
    outside = abs(change) > clip_coef
    clipped_error = old_values + clip_coef * np.sign(change) - returns
    flat = outside & (abs(clipped_error) > abs(error))
    error = np.where(flat & clip_vloss, 0, error)
    return dloss * error / len(error)
