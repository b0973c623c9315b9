import numpy as np


def categorical_sample(logits, uniforms):
    shifted = logits - logits.max(axis=1)[:, np.newaxis]
    total = np.einsum("bk->b", np.exp(shifted))[:, np.newaxis]
    cumulative = np.add.accumulate(np.exp(shifted) / total, axis=1)
    cumulative[:, -1] = 1.0
    actions = np.argmax(cumulative > uniforms[:, np.newaxis], axis=1)
    one_hot = np.eye(logits.shape[1])[actions]
    return actions, np.einsum("bk,bk->b", one_hot, shifted - np.log(total))


PLANT = {
    "first-for-none": ("    cumulative[:, -1] = 1.0\n", ""),
    "edge-counted-as-inside": ("cumulative > uniforms", "cumulative >= uniforms"),
    "probability-for-log": ("one_hot, shifted - np.log(total)", "one_hot, np.exp(shifted) / total"),
    "one-too-high": (
        "axis=1)\n    one_hot",
        "axis=1) + 1\n    actions = np.minimum(actions, logits.shape[1] - 1)\n    one_hot",
    ),
}
