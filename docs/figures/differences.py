"""The error of numerical derivatives against the step: one-sided, central, complex; and a central one near a kink."""

import numpy as np

from docs.figures.calls import categorical, dlogits, loss_and_slopes
from docs.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, new, number

LOGITS, ACTION = np.array([[0.3, -1.1, 0.8]]), np.array([0])
PLACES = np.linspace(-1, 1, 41)  # of the action's logit; the largest error of all is shown
DISTANCE = 1e-4  # from the log-ratio to the edge of the clip range


def logprob(first: float) -> float:
    """Log-probability of the action, by the kernel, as a function of its logit."""
    return categorical(with_first(first), ACTION)[1][0]


def with_first(first: float) -> np.ndarray:
    """The logits (1, 3), with another logit of the action."""
    logits = LOGITS.copy()
    logits[0, 0] = first
    return logits


def complex_logprob(first: complex) -> complex:
    """The same in complex numbers, which the kernels do not take."""
    return first - np.log(np.exp(first) + np.exp(LOGITS[0, 1:]).sum())


def smooth_errors(h: float) -> np.ndarray:
    """Largest errors (3,) of the one-sided and the central difference and of the complex step at smooth places."""
    errors = []
    for x in PLACES:
        right = dlogits(with_first(x), ACTION, np.ones(1), np.zeros(1))[0, 0]
        one_sided = (logprob(x + h) - logprob(x)) / h
        central = (logprob(x + h) - logprob(x - h)) / (2 * h)
        errors.append([one_sided - right, central - right, complex_logprob(x + 1j * h).imag / h - right])
    return np.abs(errors).max(axis=0)


def kink_error(h: float) -> float:
    """Error of the central difference of the surrogate whose log-ratio is DISTANCE below the upper edge."""
    place = np.log(1.2) - DISTANCE

    def loss(log_ratio: float) -> float:
        return loss_and_slopes(log_ratio, advantages=1.0)[0]

    right = loss_and_slopes(place, advantages=1.0)[2][0]
    return abs((loss(place + h) - loss(place - h)) / (2 * h) - right)


def table() -> list[list[str]]:
    """The exponents of the errors, because their digits are rounding errors."""
    lines = [["step h", "one-sided", "central", "complex step", "central, 1e-4 from a kink"]]
    for exponent in (-1, -3, -5, -7, -9, -11):
        h = 10.0**exponent
        errors = *smooth_errors(h), kink_error(h)
        lines.append([f"1e{exponent}", *(below(error) for error in errors)])
    return lines


def below(error: float) -> str:
    """The power of ten above an error: its digits depend on rounding. Below 1e-15 there is only rounding."""
    exponent = int(np.ceil(np.log10(max(error, 1e-15))))
    return f"below 1e{exponent}" if exponent < 0 else number(error, 1)


def draw():
    """Left: a smooth place, logarithmic axes. Right: near a kink."""
    figure, (left, right) = new(2)
    steps = np.logspace(-12, 0, 73)
    lines = zip(np.array([smooth_errors(h) for h in steps]).T, ("one-sided", "central", "complex step"),
                (ORANGE, BLUE, GREEN), ("--", "-", "-."), strict=True)  # fmt: skip
    for errors, name, colour, dashes in lines:
        left.loglog(steps, np.maximum(errors, 1e-17), color=colour, linestyle=dashes, label=name)
    left.axvline(1e-5, color=GREY, linewidth=0.8, linestyle=":")
    left.text(1.4e-5, 3e-17, "h = 1e-5", color=BLACK)
    left.set_title("smooth: log-probability by its logit")
    left.legend(frameon=False, loc="upper left", bbox_to_anchor=(0.0, 0.62))
    right.loglog(steps, [max(kink_error(h), 1e-17) for h in steps], color=BLUE, label="central")
    right.axvline(DISTANCE, color=GREY, linewidth=0.8, linestyle="--")
    right.text(DISTANCE / 1.5, 3e-14, "distance to the kink", rotation=90, ha="right", color=BLACK)
    right.set_title("1e-4 from the edge of the clip range")
    for ax in (left, right):
        ax.set_xlabel("step h")
        ax.set_ylabel("error of the derivative")
        ax.set_ylim(1e-17, 3)
    return figure
