import numpy as np


def linear_forward(x, weight, bias):
    return np.einsum("bi,io->bo", x, weight) + bias[np.newaxis]


def linear_backward(dy, x, weight):
    return np.einsum("bi,bo->io", x, dy), np.einsum("bo->o", dy), np.einsum("bo,io->bi", dy, weight)


PLANT = {
    "bias-wrong-axis": ('np.einsum("bo->o", dy)', 'np.einsum("bo->b", dy)'),
    "input-mean": ('np.einsum("bo,io->bi", dy, weight)', 'np.einsum("bo,io->bi", dy, weight) / len(dy)'),
    "weight-reshaped": ('np.einsum("bi,bo->io", x, dy)', 'np.einsum("bi,bo->oi", x, dy).reshape(weight.shape)'),
    "bias-mean": ('np.einsum("bo->o", dy)', 'np.einsum("bo->o", dy) / len(dy)'),
}
