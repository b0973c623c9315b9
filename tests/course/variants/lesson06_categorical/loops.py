import numpy as np


def categorical_forward(logits, actions):
    log_probs = np.zeros_like(logits)
    logprobs, entropies = np.zeros((2, len(logits)), logits.dtype)
    for b, row in enumerate(logits):
        log_probs[b] = row - np.log(sum(np.exp(l) for l in row))
        logprobs[b] = log_probs[b, actions[b]]
        for log_p in log_probs[b]:
            entropies[b] -= np.exp(log_p) * log_p
    return log_probs, logprobs, entropies


def categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies):
    dlogits = np.zeros(log_probs.shape)
    for b in range(dlogits.shape[0]):
        for k in range(dlogits.shape[1]):
            log_p = log_probs[b, k]
            p = np.exp(log_p)
            dlogits[b, k] += dlogprobs[b] * ((k == actions[b]) - p)
            dlogits[b, k] -= dentropies[b] * p * (log_p + entropies[b])
    return dlogits


PLANT = {
    "entropy-sign-forward": ("entropies[b] -= np.exp", "entropies[b] += np.exp"),
    "entropy-without-p": ("-= np.exp(log_p) * log_p", "-= log_p"),
    "entropy-mean": ("np.exp(log_p) * log_p", "np.exp(log_p) * log_p / len(row)"),
    "no-softmax-term": ("((k == actions[b]) - p)", "(k == actions[b])"),
    "no-one-hot-term": ("((k == actions[b]) - p)", "(-p)"),
    "entropy-without-h": ("(log_p + entropies[b])", "log_p"),
    "entropy-plus-1": ("(log_p + entropies[b])", "(log_p + 1)"),
    "entropy-sign": ("-= dentropies[b]", "+= dentropies[b]"),
    "log-p-for-p": ("p = np.exp(log_p)", "p = log_p"),
    "row-mean": ("return dlogits", "return dlogits / len(dlogprobs)"),
}
