import numpy as np
from lesson06_categorical import categorical_backward, categorical_forward
from lesson07_sampling import categorical_sample

# Each row without its invalid columns, with the functions of lessons 6 and 7.


def masked_categorical_forward(logits, mask, actions):
    log_probs = np.full(logits.shape, -np.inf, logits.dtype)
    logprobs, entropies = np.zeros((2, len(logits)), logits.dtype)
    for b, valid in enumerate(mask):
        action = valid[: actions[b]].sum()  # its place among the valid actions
        row = categorical_forward(logits[b : b + 1, valid], np.array([action]))
        log_probs[b, valid], logprobs[b], entropies[b] = row[0][0], row[1][0], row[2][0]
    return log_probs, logprobs, entropies


def masked_categorical_backward(dlogprobs, dentropies, mask, actions, log_probs, entropies):
    dlogits = np.zeros(mask.shape)
    for b, valid in enumerate(mask):
        action, one = np.array([valid[: actions[b]].sum()]), slice(b, b + 1)
        upstream = dlogprobs[one], dentropies[one]
        dlogits[b, valid] = categorical_backward(*upstream, action, log_probs[one, valid], entropies[one])[0]
    return dlogits


def masked_categorical_sample(logits, mask, uniforms):
    actions, logprobs = np.zeros(len(logits), int), np.zeros(len(logits))
    for b, valid in enumerate(mask):
        drawn, logprobs[b : b + 1] = categorical_sample(logits[b : b + 1, valid], uniforms[b : b + 1])
        actions[b] = np.flatnonzero(valid)[drawn[0]]
    return actions, logprobs


PLANT = {
    "entropy-of-all": (", row[2][0]", ", categorical_forward(logits[b : b + 1], actions[b : b + 1])[2][0]"),
    "probability-for-log": ("row[0][0], row[1][0]", "row[0][0], np.exp(row[1][0])"),
    "counted-among-valid": ("np.flatnonzero(valid)[drawn[0]]", "drawn[0]"),
    "row-mean": ("return dlogits", "return dlogits / len(dlogits)"),
    "sample-mask-after-softmax": (
        "        actions[b] = np.flatnonzero(valid)[drawn[0]]",
        "        every, _, _ = categorical_forward(logits[b : b + 1], actions[b : b + 1])\n"
        "        p = np.where(valid, np.exp(every[0]), 0)\n"
        "        last = np.flatnonzero(valid)[-1]\n"
        "        actions[b] = min((p.cumsum() <= uniforms[b]).sum(), last)\n"
        "        logprobs[b] = every[0, actions[b]]",
    ),
}  # fmt: skip
