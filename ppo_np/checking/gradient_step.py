"""One step of the backward pass: what is right for the gradients that it was given, and what known mistakes give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ppo_np.checking.diagnosis import Term, changed, explained_by_terms, same, where_wrong
from ppo_np.config import PPOConfig
from ppo_np.network.activations import Activations
from ppo_np.network.minibatch import Minibatch
from ppo_np.network.model import ActorCritic


class BackwardPass(NamedTuple):
    """A network, a minibatch, and all that a forward and a backward pass on it have written, in float64."""

    model: ActorCritic
    minibatch: Minibatch
    activations: Activations
    config: PPOConfig


@dataclass(frozen=True)
class Step:
    """What one step of the backward pass should give.

    Attributes:
        right: the right result.
        rows: B.
        mistakes: (what the mistake is, what it gives): the result with one known mistake in the step.
        terms: the terms of the formula, with one array for each of `parts`.
        parts: places in the last axis that are computed apart from each other; empty if there is only one.
        groups: name -> (B,) booleans, kinds of rows.
    """

    right: np.ndarray
    rows: int
    mistakes: Sequence[tuple[str, np.ndarray]] = ()
    terms: Sequence[Term] = ()
    parts: Sequence[slice] = ()
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)

    def gives(self, result: np.ndarray) -> bool:
        """Whether a result is the right one."""
        return same([result], [self.right])

    def mistake_in(self, result: np.ndarray) -> str | None:
        """The kind of mistake in a wrong result, in words; None if no known mistake gives it.

        If several mistakes give the same numbers, all are named.
        """
        yours, right = self._split(result), self._split(self.right)
        wrong = [s for s, (a, b) in enumerate(zip(yours, right, strict=True)) if not same([a], [b])]
        yours, right = ([arrays[s] for s in wrong] for arrays in (yours, right))
        found = []
        for says, values in self.mistakes:
            of_mistake = [self._split(values)[s] for s in wrong]
            if same(yours, of_mistake) and not same(right, of_mistake):
                found.append(says)
        terms = [Term(term.name, [term.values[s] for s in wrong], term.coefficient) for term in self.terms]
        sentence = " or ".join(dict.fromkeys(found)) or explained_by_terms(yours, right, terms)
        if not sentence and result.size > 1:  # a factor between two single numbers is no evidence
            sentence = changed(yours, right, [self.rows] * len(wrong))
        if not sentence and self.groups:
            sentence = where_wrong(yours, right, [self.groups] * len(wrong))
        if sentence and len(wrong) < len(self.parts):
            return f"in part {', '.join(str(s + 1) for s in wrong)} of {len(self.parts)}: {sentence}"
        return sentence

    def _split(self, result: np.ndarray) -> list[np.ndarray]:
        return [result[:, part] for part in self.parts] or [result]
