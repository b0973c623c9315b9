import numpy as np


def value_loss(values, old_values, returns, clip_coef, clip_vloss):
    total = 0
    for value, old, target in zip(values, old_values, returns, strict=True):
        square = (value - target) ** 2
        if clip_vloss and abs((value - old).real) > clip_coef:
            clipped = old + clip_coef if (value - old).real > 0 else old - clip_coef
            if (clipped - target) ** 2 > square.real:
                square = (clipped - target) ** 2
        total += square
    return total / (2 * len(values))


def value_loss_backward(dloss, values, old_values, returns, clip_coef, clip_vloss):
    dvalues = np.empty(len(values))
    for b, (value, old, target) in enumerate(zip(values, old_values, returns, strict=True)):
        dvalues[b] = dloss * (value - target) / len(values)
        if clip_vloss and abs(value - old) > clip_coef:
            clipped = old + clip_coef if value > old else old - clip_coef
            if abs(clipped - target) > abs(value - target):
                dvalues[b] = 0
    return dvalues


PLANT = {
    "value-doubled": ("dloss * (value - target) / len(values)", "2 * dloss * (value - target) / len(values)"),
    "value-sign": ("dloss * (value - target) / len(values)", "dloss * (target - value) / len(values)"),
    "no-half": ("total / (2 * len(values))", "total / len(values)"),
    "no-value-clip": ("dvalues[b] = 0", "pass"),
    "sum-not-mean": ("(value - target) / len(values)", "(value - target)"),
}
