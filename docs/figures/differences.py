"""Errors of a numeric derivative against its step h: three kinds of differences, and a difference across a kink."""

import importlib.util
from pathlib import Path

import numpy as np

from docs.figures import style
from docs.figures.kernel_calls import CLIP, logits_gradient, policy_loss

# The PPO of one file: plain NumPy, so that its forward pass takes complex numbers, which compiled kernels do not.
SPEC = importlib.util.spec_from_file_location("plain_ppo", Path(__file__).parents[1] / "course" / "plain_ppo.py")
PLAIN = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(PLAIN)

LOGITS, ACTION = np.array([[0.3, -1.1, 0.7]]), np.array([1])
HEAD = ("h", "one-sided", "central", "complex step", "central, kink at distance 0.002")
KINK = 2e-3
FLOOR = 1e-17


def logprob(step: complex):
    """log pi of the action, with `step` added to its logit."""
    logits = LOGITS + step * np.eye(3)[ACTION]
    return PLAIN.categorical_forward(logits, ACTION)[1][0]


def errors(h: float) -> tuple[float, float, float]:
    """Relative errors of the one-sided difference, the central difference and the complex step; at least 1e-17."""
    right = logits_gradient(LOGITS, ACTION, np.ones(1), np.zeros(1))[0, ACTION[0]]
    one_sided = (logprob(h) - logprob(0.0)) / h
    central = (logprob(h) - logprob(-h)) / (2 * h)
    by_complex = np.imag(logprob(1j * h)) / h
    found = np.array([one_sided, central, by_complex])
    return tuple(np.maximum(np.abs(found - right) / abs(right), FLOOR))


def kink_error(h: float) -> float:
    """Relative error of a central difference of the policy loss by the ratio, below the clip's edge by 0.002."""
    ratio = 1 + CLIP - KINK
    right = policy_loss(ratio, 1.0)[1] / ratio
    central = (policy_loss(ratio + h, 1.0)[0] - policy_loss(ratio - h, 1.0)[0]) / (2 * h)
    return max(abs(central - right) / abs(right), FLOOR)


def numbers() -> list[tuple]:
    """Rows of the table; powers of ten, since the digits of rounding errors mean nothing."""
    steps = (1e-1, 1e-2, 1e-3, 1e-5, 1e-8, 1e-12)
    return [(f"{h:.0e}", *(bound(error) for error in (*errors(h), kink_error(h)))) for h in steps]


def bound(error: float) -> str:
    """A power of ten above an error, with room for a rounding error that is twice as large elsewhere."""
    return "below 1e-14" if error < 1e-14 else f"below 1e{int(np.ceil(np.log10(2 * error))):+03d}"


def draw():
    """The figure."""
    figure, axes = style.new(panels=2)
    steps = np.logspace(-15, 0, 61)
    results = np.array([errors(h) for h in steps]).T
    for number, (name, error) in enumerate(zip(("one-sided", "central", "complex step"), results, strict=True)):
        style.line(axes[0], steps, error, number, name, marker="os^"[number], markersize=3, linewidth=1.1)
    axes[0].axvline(1e-5, color="#999999", linewidth=0.7)
    axes[0].text(1.3e-5, 3e-18, "h = 1e-5", fontsize=8)
    axes[0].set(title="smooth: log π by a logit")
    style.line(axes[1], steps, [kink_error(h) for h in steps], 1, "central", marker="s", markersize=3, linewidth=1.1)
    axes[1].axvline(KINK, color="#999999", linewidth=0.7)
    axes[1].text(KINK * 1.4, 3e-18, "distance\nto the kink", fontsize=8)
    axes[1].set(title="kink: the clipped loss by the ratio")
    for ax in axes:
        ax.set(xscale="log", yscale="log", xlabel="step h", ylabel="relative error", ylim=(1e-18, 10))
        ax.legend(loc="upper center", fontsize=8)
    return figure
