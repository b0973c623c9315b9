import numpy as np


def masked_categorical_forward(logits, mask, actions):
    log_probs = np.full(logits.shape, -np.inf, logits.dtype)
    logprobs, entropies = np.zeros((2, len(logits)), logits.dtype)
    for b in range(len(logits)):
        valid = [k for k in range(logits.shape[1]) if mask[b, k]]
        largest = max(logits[b, k].real for k in valid)
        total = sum(np.exp(logits[b, k] - largest) for k in valid)
        for k in valid:
            log_p = logits[b, k] - largest - np.log(total)
            log_probs[b, k] = log_p
            entropies[b] -= np.exp(log_p) * log_p
        logprobs[b] = log_probs[b, actions[b]]
    return log_probs, logprobs, entropies


def masked_categorical_backward(dlogprobs, dentropies, mask, actions, log_probs, entropies):
    dlogits = np.zeros(log_probs.shape)
    for b in range(dlogits.shape[0]):
        for k in range(dlogits.shape[1]):
            if mask[b, k]:
                log_p = log_probs[b, k]
                p = np.exp(log_p)
                dlogits[b, k] += dlogprobs[b] * ((k == actions[b]) - p)
                dlogits[b, k] -= dentropies[b] * p * (log_p + entropies[b])
    return dlogits


def masked_categorical_sample(logits, mask, uniforms):
    actions, logprobs = np.zeros(len(logits), int), np.zeros(len(logits))
    log_probs, _, _ = masked_categorical_forward(logits, mask, actions)
    for b in range(len(logits)):
        total = 0.0
        for k in range(logits.shape[1]):
            if mask[b, k]:
                actions[b] = k
                total += np.exp(log_probs[b, k])
                if total > uniforms[b]:
                    break
        logprobs[b] = log_probs[b, actions[b]]
    return actions, logprobs


PLANT = {
    "mask-after-softmax": (
        "total = sum(np.exp(logits[b, k] - largest) for k in valid)",
        "largest = max(logits[b].real)\n        total = sum(np.exp(l - largest) for l in logits[b])",
    ),
    "entropy-sign-forward": ("entropies[b] -= np.exp", "entropies[b] += np.exp"),
    "entropy-mean": ("np.exp(log_p) * log_p", "np.exp(log_p) * log_p / len(valid)"),
    "gradient-nan": ("if mask[b, k]:\n                log_p", "if True:\n                log_p"),
    "no-softmax-term": ("((k == actions[b]) - p)", "(k == actions[b])"),
    "no-one-hot-term": ("((k == actions[b]) - p)", "(-p)"),
    "entropy-without-h": ("(log_p + entropies[b])", "log_p"),
    "entropy-plus-1": ("(log_p + entropies[b])", "(log_p + 1)"),
    "entropy-sign": ("-= dentropies[b]", "+= dentropies[b]"),
    "last-action": ("if mask[b, k]:\n                actions[b] = k", "if True:\n                actions[b] = k"),
    "most-probable": (
        "        logprobs[b] = log_probs[b, actions[b]]\n    return actions",
        "        actions[b] = log_probs[b].argmax()\n"
        "        logprobs[b] = log_probs[b, actions[b]]\n"
        "    return actions",
    ),
}  # fmt: skip
