"""The variance of the policy gradient's estimate against the baseline, for one state with three actions."""

import numpy as np

from docs.figures import style
from docs.figures.kernel_calls import categorical, logits_gradient
from kernels.categorical import categorical_sample

LOGITS, RETURNS = np.array([0.5, 0.0, -0.5]), np.array([12.0, 10.0, 9.0])
ROWS = np.arange(3)
HEAD = ("baseline", "mean of the estimate", "standard deviation")


def enumerated(baseline: float) -> tuple[np.ndarray, float]:
    """Mean (3,) and standard deviation of the estimate (G - c) d log pi / d logits, exactly, by all three actions."""
    logits = np.tile(LOGITS, (3, 1))
    probabilities = np.exp(categorical(logits, ROWS)[1])
    estimates = logits_gradient(logits, ROWS, RETURNS - baseline, np.zeros(3))
    mean = probabilities @ estimates
    return mean, float(np.sqrt(probabilities @ ((estimates - mean) ** 2).sum(axis=1)))


def value() -> float:
    """V of the state: the mean return."""
    return float(np.exp(categorical(LOGITS[np.newaxis].copy(), np.zeros(1, int))[0][0]) @ RETURNS)


def errors(baseline: float, samples: int, seed: int = 0) -> np.ndarray:
    """Distance of the mean of the first n sampled estimates from the true gradient, for n = 1 ... samples."""
    logits = np.tile(LOGITS, (samples, 1))
    actions, logprobs = np.empty(samples, np.int64), np.empty(samples)
    uniforms = np.random.default_rng(seed).random(samples)
    categorical_sample(logits, uniforms, np.empty_like(logits), actions, logprobs)
    estimates = logits_gradient(logits, actions, RETURNS[actions] - baseline, np.zeros(samples))
    means = estimates.cumsum(axis=0) / np.arange(1, samples + 1)[:, np.newaxis]
    return np.linalg.norm(means - enumerated(baseline)[0], axis=1)


def numbers() -> list[tuple]:
    """Rows of the table."""
    rows = []
    for name, baseline in (("0", 0.0), ("5", 5.0), (f"V = {value():.3f}", value()), ("20", 20.0)):
        mean, deviation = enumerated(baseline)
        rows.append((name, ", ".join(f"{number:.3f}" for number in mean), deviation))
    return rows


def draw():
    """The figure."""
    figure, axes = style.new(panels=2)
    baselines = np.linspace(0, 20, 81)
    style.line(axes[0], baselines, [enumerated(c)[1] for c in baselines], 0, "standard deviation")
    axes[0].axvline(value(), color="#999999", linewidth=0.7)
    axes[0].text(value() + 0.3, 7.2, "V, the mean return", fontsize=8)
    axes[0].set(xlabel="baseline c", ylabel="std of one estimate", ylim=(0, None))
    samples = 2000
    for number, (name, baseline) in enumerate((("baseline 0", 0.0), ("baseline V", value()))):
        style.line(axes[1], np.arange(1, samples + 1), errors(baseline, samples), number, name, linewidth=1.3)
    axes[1].set(xscale="log", yscale="log", xlabel="samples", ylabel="error of their mean")
    axes[1].legend(loc="lower left")
    return figure
