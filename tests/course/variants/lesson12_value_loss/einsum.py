import numpy as np


def value_loss(values, old_values, returns, clip_coef, clip_vloss):
    error = values - returns
    if not clip_vloss:
        return np.einsum("b,b->", error, error) / len(error) / 2
    clipped = np.maximum(np.minimum(values, old_values + clip_coef), old_values - clip_coef) - returns
    return 0.5 * np.mean(np.maximum(error**2, clipped**2))


def value_loss_backward(dloss, values, old_values, returns, clip_coef, clip_vloss):
    error = values - returns
    clipped = np.clip(values, old_values - clip_coef, old_values + clip_coef) - returns
    moved = clipped != error
    live = ~(moved & (clipped**2 > error**2)) if clip_vloss else np.ones(len(error), bool)
    return np.einsum("b,b->b", live.astype(float), error) * dloss / len(error)


PLANT = {
    "no-upstream": ("error) * dloss / len(error)", "error) / len(error)"),
    "always-clipped": ("if clip_vloss else np.ones(len(error), bool)", ""),
    "clip-everywhere-outside": ("~(moved & (clipped**2 > error**2))", "~moved"),
    "min-for-max": ("np.mean(np.maximum(", "np.mean(np.minimum("),
}
