import numpy as np


def log_softmax(logits):
    differences = logits[:, np.newaxis, :] - logits[:, :, np.newaxis]  # l_j - l_k at [b, k, j]
    largest = differences.max(axis=2)
    total = np.einsum("bkj->bk", np.exp(differences - largest[:, :, np.newaxis]))
    return -largest - np.log(total)


PLANT = {
    "no-maximum": ("differences.max(axis=2)", "0 * differences.max(axis=2)"),
    "sign": ("- np.log(total)", "+ np.log(total)"),
    "log-base": ("- np.log(total)", "- np.log2(total)"),
}
