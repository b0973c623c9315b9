"""A walk through one minibatch: every quantity from the observations to the step of Adam, as numbers.

`walk` gives a list of `Line`s in the order of computation. The table, the JSON and the page of
`python -m ppo_np.explain` print nothing else.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kernels.categorical import log_softmax
from kernels.linear import linear_forward
from kernels.loss import LOSS_TERMS
from kernels.masked_categorical import masked_log_softmax
from ppo_np.checking.backward_lines import BackwardLines
from ppo_np.checking.formulas import sources_of
from ppo_np.checking.lines import Line, Lines
from ppo_np.checking.next_minibatch import Subject
from ppo_np.checking.nudge import Nudged, layers_of
from ppo_np.checking.regions import chosen_rows, clipped, ratios, regions_of, value_branches_of
from ppo_np.network.activations import Activations
from ppo_np.network.continuous import Beta, StateGaussian
from ppo_np.network.distributions import Bernoulli, Gaussian


@dataclass(frozen=True)
class Walkthrough:
    """One minibatch as numbers.

    Attributes:
        subject: what was explained; its model and its optimiser have taken the step since.
        rows: (R,), the rows of the minibatch that are shown.
        lines: all quantities, in the order of computation.
        regions, value_branches: how many rows of the minibatch are in each of them.
        nudged: the copy in float64 from before the step.
        activations: the forward and backward pass of the whole minibatch.
    """

    subject: Subject
    rows: np.ndarray
    lines: list[Line]
    regions: Counter[str]
    value_branches: Counter[str]
    nudged: Nudged
    activations: Activations = field(repr=False)

    @property
    def wrong(self) -> list[Line]:
        """The lines whose gradient is not that of the finite differences."""
        return [line for line in self.lines if line.agrees is False]

    @property
    def verdict(self) -> str:
        """A sentence: how many gradients are right, or which ones are wrong."""
        right = sum(line.agrees is True for line in self.lines)
        if self.wrong:
            names = ", ".join(line.name for line in self.wrong)
            return f"{len(self.wrong)} of {right + len(self.wrong)} gradients are WRONG: {names}."
        skipped = sum(line.agrees is None and bool(line.differences) for line in self.lines)
        more = f" {skipped} could not be compared: a kink lies too near." if skipped else ""
        return f"All {right} gradients agree with central differences of the loss in float64.{more}"


def walk(subject: Subject, rows: int = 3, units: int = 3) -> Walkthrough:
    """Explain a minibatch; then its model has taken the step of the optimiser.

    Args:
        subject: the minibatch, between gradient and step.
        rows: how many of its B rows are shown, at least 1: first those in other regions of the loss than the ones
            before them. All are shown if there are fewer.
        units: how many numbers of a layer are shown, at least 1.
    """
    model, minibatch, config = subject.model, subject.minibatch, subject.config
    activations = model.activations(minibatch.rows, np.zeros_like(model.grads))
    model.loss_and_gradient(minibatch, activations, config)
    nudged = Nudged(model, minibatch, config)
    regions = regions_of(activations.distribution.logprobs, minibatch, config)
    branches = value_branches_of(activations.values, minibatch, config)
    shown = chosen_rows(regions, branches, rows)
    lines = BackwardLines(subject, activations, nudged, shown, units)
    _inputs(lines, subject, activations)
    _network(lines, subject, activations)
    _policy(lines, subject, activations)
    _loss(lines, subject, activations, regions, branches)
    lines.gradients()
    lines.step()
    return Walkthrough(subject, shown, lines.lines, Counter(regions), Counter(branches), nudged, activations)


def _inputs(lines: Lines, subject: Subject, activations: Activations) -> None:
    """What the rollout has left: the rows of the minibatch."""
    minibatch, section = subject.minibatch, "inputs"
    lines.per_row(section, "obs", None, minibatch.obs, norm=True)
    lines.per_row(section, "actions", None, minibatch.actions)
    if minibatch.action_mask is not None:
        lines.per_row(section, "action_mask", None, minibatch.action_mask)
    for name in ("old_logprobs", "old_values", "advantages", "returns"):
        lines.per_row(section, name, None, getattr(minibatch, name))


def _network(lines: Lines, subject: Subject, activations: Activations) -> None:
    """The layers: before and after the activation, and the outputs of the heads."""
    model, tensors = subject.model, subject.model.named(subject.model.params)
    heads = {"policy/head": activations.distribution.output_name, "value/head": "values"}
    features = subject.minibatch.obs
    for tower in ("shared", "policy", "value"):
        h = features
        for layer, output in layers_of(model, tower, activations):
            z = np.zeros_like(output)
            linear_forward(h, tensors[f"{layer}/weight"], tensors[f"{layer}/bias"], z)
            name = heads.get(layer, f"{layer} z")
            lines.per_row("forward", name, lines.source("linear"), z, norm=name != "values")
            if layer not in heads:
                lines.per_row("forward", f"{layer} h", lines.source(lines.activation), output, norm=True)
            h = output
        features = h if tower == "shared" else features


def _policy(lines: Lines, subject: Subject, activations: Activations) -> None:
    """From the outputs of the policy head to log-probabilities and entropies."""
    distribution, actions = activations.distribution, subject.minibatch.actions
    outputs, sources = activations.policy_outputs, sources_of(subject.model.head)
    if isinstance(distribution, Gaussian):
        std = np.exp(distribution.log_std)
        lines.vector("forward", "log_std", None, distribution.log_std)
        lines.per_row("forward", "zeta", sources["zeta"], (actions - outputs) / std)
    elif isinstance(distribution, StateGaussian):
        u = actions[:, : distribution.means.shape[1]]
        lines.per_row("forward", "log_std", None, distribution.log_std)
        zeta = (u - distribution.means) / np.exp(distribution.log_std)
        lines.per_row("forward", "zeta", sources["zeta"], zeta)
    elif isinstance(distribution, Beta):
        lines.per_row("forward", "alpha and beta", sources["parameters"], 1 + np.logaddexp(0, outputs))
    elif isinstance(distribution, Bernoulli):
        lines.per_row("forward", "probabilities", sources["probabilities"], 1 / (1 + np.exp(-outputs)))
    else:
        log_probs = _log_probs(outputs, subject.model.head.sizes, subject.minibatch.action_mask)
        lines.per_row("forward", "log_probs", sources["log_probs"], log_probs)
        lines.per_row("forward", "probabilities", sources["probabilities"], np.exp(log_probs))
    lines.per_row("forward", "logprobs", sources["logprobs"], distribution.logprobs)
    lines.per_row("forward", "entropies", sources["entropies"], distribution.entropies)


def _log_probs(logits: np.ndarray, sizes: Sequence[int], action_mask: np.ndarray | None) -> np.ndarray:
    """The log-softmax of each choice over its valid actions, side by side, (B, K)."""
    parts = []
    for columns in np.split(np.arange(logits.shape[1]), np.cumsum(sizes)[:-1]):
        log_probs = np.ascontiguousarray(logits[:, columns])
        if action_mask is None:
            log_softmax(log_probs, log_probs)
        else:
            masked_log_softmax(log_probs, np.ascontiguousarray(action_mask[:, columns]), log_probs)
        parts.append(log_probs)
    return np.concatenate(parts, axis=1)


def _loss(lines: Lines, subject: Subject, activations: Activations, regions: list[str], branches: list[str]) -> None:
    """Ratio, region, surrogate, value branch, and the loss with its terms."""
    minibatch, config, section = subject.minibatch, subject.config, "loss"
    e, values = config.clip_coef, activations.values.astype(np.float64)
    ratio = ratios(activations.distribution.logprobs, minibatch)
    lines.per_row(section, "ratio", lines.source("ratio"), ratio)
    lines.words(section, "region", lines.source("surrogate"), regions)
    advantages = minibatch.advantages.astype(np.float64)
    surrogate = np.maximum(-advantages * ratio, -advantages * np.clip(ratio, 1 - e, 1 + e))
    lines.per_row(section, "surrogate", lines.source("surrogate"), surrogate)
    errors = (values - minibatch.returns) ** 2
    source = lines.source("value_loss_unclipped")
    if config.clip_vloss:
        source, clipped_values = lines.source("value_loss"), clipped(values, minibatch.old_values, config.value_clip)
        lines.per_row(section, "clipped_values", lines.source("clipped_values"), clipped_values)
        lines.words(section, "value branch", source, branches)
        errors = np.maximum(errors, (clipped_values - minibatch.returns) ** 2)
    lines.per_row(section, "value error", source, 0.5 * errors)
    lines.table(section, "loss", lines.source("loss"), LOSS_TERMS, {"": subject.loss_terms})


def as_json(walkthrough: Walkthrough) -> dict[str, Any]:
    """The walkthrough for JSON; an infinite number, such as that of `max_grad_norm`, becomes None."""
    subject = walkthrough.subject
    document = {
        "title": subject.title,
        "env_id": subject.config.env_id,
        "dtype": np.dtype(subject.model.dtype).name,
        "minibatch_rows": subject.minibatch.rows,
        "rows": walkthrough.rows.tolist(),
        "passed": not walkthrough.wrong,
        "surrogate_regions": dict(walkthrough.regions),
        "value_branches": dict(walkthrough.value_branches),
        "lines": [dataclasses.asdict(line) for line in walkthrough.lines],
    }
    return json.loads(json.dumps(document), parse_constant=lambda _: None)
