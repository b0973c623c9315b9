"""What lesson 20 finds out about the learner's functions."""

from dataclasses import dataclass, field

from ppo_np.checking.gradient_report import Check
from ppo_np.course.training.comparison import Difference

SAME, ROUNDED, WRONG, LOW = "same bits", "rounded differently", "wrong", "low return"


@dataclass(frozen=True)
class WrongGradient:
    """A gradient that the check finds wrong.

    Attributes:
        network: of which network, in words.
        check: the comparison with differences.
    """

    network: str
    check: Check


@dataclass(frozen=True)
class Mismatch:
    """The first update after which a parameter has other bits than in the package's run.

    Attributes:
        update: counted from 1.
        tensor, place: name and index of the first such parameter; empty if training did not reach the end of it.
        yours, products: its two values.
        count: how many parameters differ.
        diverged: why training could not go on, in a sentence; empty if it could.
    """

    update: int
    tensor: str = ""
    place: tuple[int, ...] = ()
    yours: float = float("nan")
    products: float = float("nan")
    count: int = 0
    diverged: str = ""


@dataclass
class TrainingResult:
    """The result of lesson 20.

    Attributes:
        env, seed: of the run.
        installed: names of the learner's functions that the package calls.
        updates: how many the run is to have; whole: whether these are all of the preset.
        gradients: number of tensors whose gradients were checked; wrong_gradients: those that are wrong.
        same_order: whether `minibatches` draws the package's order. If not, the package's order is used.
        mismatch: None if all updates have the same bits.
        traced: whether the functions were compared one by one; differences: those that give other numbers.
        fault: what a function did wrong, in a sentence; empty if nothing.
        curve: after each update, the steps so far and the mean return of the last 100 episodes.
        threshold: return from which the environment counts as solved; None if it has none.
        seconds: in all.
        verdict: one of `SAME`, `ROUNDED`, `WRONG`, `LOW`.
    """

    env: str
    seed: int
    installed: list[str]
    updates: int
    whole: bool
    gradients: int = 0
    wrong_gradients: list[WrongGradient] = field(default_factory=list)
    same_order: bool = True
    mismatch: Mismatch | None = None
    traced: bool = False
    differences: list[Difference] = field(default_factory=list)
    fault: str = ""
    curve: list[tuple[int, float]] = field(default_factory=list)
    threshold: float | None = None
    seconds: float = 0.0
    verdict: str = ""

    @property
    def complete(self) -> bool:
        """Whether all updates of the preset were done, so that the return counts."""
        return self.whole and len(self.curve) >= self.updates

    @property
    def last_return(self) -> float:
        """Mean return of the last 100 episodes; NaN before the first one."""
        return self.curve[-1][1] if self.curve else float("nan")

    @property
    def exit_code(self) -> int:
        """0 if the functions are right, 1 otherwise."""
        return 0 if self.verdict in (SAME, ROUNDED) else 1
