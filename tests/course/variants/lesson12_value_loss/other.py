import numpy as np


def value_loss(values, old_values, returns, clip_coef, clip_vloss):
    change = values - old_values
    over = np.where(
        change.real > clip_coef, clip_coef - change, np.where(change.real < -clip_coef, -clip_coef - change, 0)
    )
    errors = [values - returns] + ([values + over - returns] if clip_vloss else [])
    sizes = np.array([abs(error.real) for error in errors])
    chosen = np.choose(sizes.argmax(axis=0), errors)
    return (chosen * chosen).sum() / 2 / len(values)


def value_loss_backward(dloss, values, old_values, returns, clip_coef, clip_vloss):
    """Outside the clip range the loss is flat where V is nearer to R than the edge: R beyond the middle of both."""
    side = np.sign(values - old_values)
    edge = old_values + side * clip_coef
    beyond = (values - edge) * side
    middle = (values + edge) / 2
    flat = (beyond > 1e-15) & ((returns - middle) * side > 1e-15)
    dvalues = (values - returns) * (dloss / len(values))
    if clip_vloss:
        dvalues[flat] = 0
    return dvalues


PLANT = {
    "wrong-branch": ("((returns - middle) * side > 1e-15)", "((returns - middle) * side < -1e-15)"),
    "sum-not-mean": ("(dloss / len(values))", "dloss"),
    "value-sign": ("dvalues = (values - returns)", "dvalues = (returns - values)"),
}
