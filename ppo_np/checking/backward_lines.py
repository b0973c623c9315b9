"""The second half of a walk through a minibatch: every gradient with its finite difference, and the step of Adam."""

import numpy as np

from kernels.linear import linear_backward_input
from kernels.optimizer import global_norm
from ppo_np.checking.formulas import Source, sources_of
from ppo_np.checking.lines import NORM, Lines
from ppo_np.checking.next_minibatch import Subject
from ppo_np.checking.nudge import FORK, PARAMS, Difference, Nudged, layers_of
from ppo_np.network.activations import Activations
from ppo_np.network.model import LOG_STD, ActorCritic
from ppo_np.network.optimizer import clip_gradient, clip_parts

STEP_TENSOR = "policy/head/weight"  # the one whose step is shown: its units cannot die


class BackwardLines(Lines):
    """Lines from the loss back to the parameters.

    Args:
        subject: the minibatch. activations: after its forward and backward pass. nudged: its copy in float64.
        rows, units: what is shown, as for `Lines`.
    """

    def __init__(self, subject: Subject, activations: Activations, nudged: Nudged, rows: np.ndarray, units: int):
        super().__init__(subject.model, rows, units)
        self._subject, self._activations, self._nudged = subject, activations, nudged
        self._model = subject.model

    def gradients(self) -> None:
        """Add the gradients in the order of the backward pass, and the global norm."""
        a, exact = self._activations, self._nudged.activations
        sources = sources_of(self._model.head)
        self._of_rows("dlogprobs", self.source("dlogprobs"), a.dlogprobs, exact.dlogprobs, "logprobs")
        self._of_rows("dentropies", self.source("dentropies"), a.dentropies, exact.dentropies, "entropies")
        self._of_rows("dvalues", self.source("dvalues"), a.dvalues, exact.dvalues, "values")
        name = f"d{a.distribution.output_name}"
        self._of_rows(name, sources["doutputs"], a.dpolicy_outputs, exact.dpolicy_outputs, "policy/head")
        if self._model.head.has_log_std:
            self._tensor(LOG_STD, sources["dlog_std"])
        for tower in ("policy", "value"):
            self._tower(tower)
        if self._model.sizes["shared"]:
            self._fork()
            self._tower("shared")
        self._global_norm()

    def _tower(self, tower: str) -> None:
        """The gradients of a tower's layers, from the last to the first."""
        pairs = zip(
            layers_of_gradients(self._model, tower, self._activations),
            layers_of_gradients(self._nudged.model, tower, self._nudged.activations), strict=True,
        )  # fmt: skip
        for (layer, dz), (_, exact) in reversed(list(pairs)):
            if not layer.endswith("head"):
                self._of_rows(f"{layer} dz", self.source(f"d{self.activation}"), dz, exact, layer)
            self._tensor(f"{layer}/weight", self.source("dweight"))
            self._tensor(f"{layer}/bias", self.source("dbias"))

    def _fork(self) -> None:
        """The gradient of the trunk's output: what comes from each tower, and the sum."""
        single, exact = _shares(self._model, self._activations), _shares(self._nudged.model, self._nudged.activations)
        for tower in ("policy", "value"):
            self._of_rows(f"fork dh_{tower}", self.source("dinput"), single[tower], exact[tower], f"{tower}/input")
        total, exact_total = (shares["policy"] + shares["value"] for shares in (single, exact))
        self._of_rows("fork dh", self.source("fork"), total, exact_total, FORK)

    def _of_rows(self, name: str, source: Source, single: np.ndarray, exact: np.ndarray, nudge: str) -> None:
        """Add a gradient, (B,) or (B, O), with the derivative of each number that is shown."""
        units = [()] if single.ndim == 1 else [(i,) for i in range(min(self.units, single.shape[1]))]
        numeric = [[self._nudged.at(nudge, single.shape, (b, *unit)) for b in self.rows] for unit in units]
        labels = [f"[{i}]" for i in range(len(units))] if single.ndim == 2 else [""]
        columns, exact_columns = (a.reshape(len(a), -1)[self.rows].T for a in (single, exact))
        table = dict(zip(labels, columns, strict=False))
        self.add("backward", name, source, single.shape, self.columns, table, exact_columns[: len(labels)], numeric)

    def _tensor(self, name: str, source: Source) -> None:
        """Add the gradient of a parameter tensor: its first numbers, and its norm.

        The derivative along the direction of a gradient is the norm of the gradient.
        """
        single, exact = (model.named(model.grads)[name] for model in (self._model, self._nudged.model))
        places = [np.unravel_index(i, single.shape) for i in range(min(self.units, single.size))]
        columns = [str([int(i) for i in place]) for place in places] + [NORM]
        numeric = [self._nudged.at(name, single.shape, tuple(map(int, place))) for place in places]
        numeric.append(self._nudged.along(name, _unit(exact)))
        self.add(
            "backward", f"d{name}", source, single.shape, columns, {"": [*single.flat[: len(places)], _norm(single)]},
            [[*exact.flat[: len(places)], _norm(exact)]], [numeric],
        )  # fmt: skip

    def _global_norm(self) -> None:
        grads, exact = self._model.grads, self._nudged.model.grads
        numeric = self._nudged.along(PARAMS, _unit(exact))
        blocks = self._subject.blocks
        note = f"Summed over {blocks} blocks of rows." if blocks > 1 else ""
        self.add(
            "backward", "grad_norm", self.source("norm"), grads.shape, [NORM], {"": [global_norm(grads)]},
            [[_norm(exact)]], [[numeric]], note,
        )  # fmt: skip

    def step(self) -> None:
        """Take the step: clip the gradient, then Adam. Modified in place: the subject's model and optimiser."""
        model, optimizer, config = self._model, self._subject.optimizer, self._subject.config
        parts = clip_parts(model.grads, model.value_start, config)
        factors = {label: _clip_factor(*part) for label, part in parts.items()}
        self.table("step", "clip factor", self.source("clip"), ["|g|", "max_norm", "factor"], factors)
        clip_gradient(model.grads, global_norm(model.grads), model.value_start, config)
        before, m, v = model.params.copy(), optimizer.m.copy(), optimizer.v.copy()
        optimizer.step(config.learning_rate, config.value_learning_rate)
        note = f"k = {optimizer.steps}, lr = {config.learning_rate:.6g}"
        if config.value_learning_rate is not None:
            note += f", that of the value {config.value_learning_rate:.6g}"
        self._vectors("g, clipped", self.source("clip"), {"": model.grads})
        self._vectors("m", self.source("m"), {"before": m, "after": optimizer.m})
        self._vectors("v", self.source("v"), {"before": v, "after": optimizer.v})
        moved = model.params - before
        self._vectors("theta", self.source("step"), {"before": before, "step": moved, "after": model.params}, note)
        self._change(moved.astype(np.float64))

    def _vectors(self, name: str, source: Source, vectors: dict[str, np.ndarray], note: str = "") -> None:
        """Add flat vectors, (P,): the first numbers of one tensor, and the norm of the whole vector."""
        size = self._model.shapes[STEP_TENSOR]
        places = [np.unravel_index(i, size) for i in range(min(self.units, int(np.prod(size))))]
        columns = [str([int(i) for i in place]) for place in places] + [NORM]
        table = {}
        for label, flat in vectors.items():
            numbers = self._model.named(flat)[STEP_TENSOR].flat[: len(places)]
            table[label] = [*numbers, _norm(flat)]
        text = f"Columns: {STEP_TENSOR}; the norm is that of the whole vector. {note}".strip()
        self.add("step", name, source, next(iter(vectors.values())).shape, columns, table, note=text)

    def _change(self, moved: np.ndarray) -> None:
        """Add the change of the loss by the step, as the gradient predicts it and as it is, in float64."""
        nudged = self._nudged
        predicted, length = float(nudged.model.grads @ moved), _norm(moved)
        numeric = nudged.along(PARAMS, _unit(moved))
        scaled = Difference(numeric.value * length, numeric.rounding * length)
        self.add(
            "step",
            "change of the loss, predicted",
            None,
            (),
            ["g . step"],
            {"": [predicted]},
            [[predicted]],
            [[scaled]],
        )
        before = float(nudged.activations.loss_terms[0])
        after = nudged.loss(nudged.model.params + moved)
        columns = ["loss before", "loss after", "change"]
        self.add("step", "change of the loss, real", None, (), columns, {"": [before, after, after - before]})


def layers_of_gradients(model: ActorCritic, tower: str, activations: Activations) -> list[tuple[str, np.ndarray]]:
    """Name and dz, (B, O), of each layer of a tower, after a backward pass."""
    names = [name for name, _ in layers_of(model, tower, activations)]
    return list(zip(names, activations.doutputs[tower], strict=True))


def _shares(model: ActorCritic, activations: Activations) -> dict[str, np.ndarray]:
    """The gradient of the trunk's output through each tower, (B, O) each."""
    weights = model.towers(model.params)
    shares = {}
    for tower in ("policy", "value"):
        shares[tower] = np.zeros_like(activations.dfeatures)
        linear_backward_input(activations.doutputs[tower][0], weights[tower].weights[0], shares[tower])
    return shares


def _clip_factor(grads: np.ndarray, max_norm: float) -> list[float]:
    """|g|, its largest value, and the number that the gradient is multiplied by."""
    norm = global_norm(grads)
    return [norm, max_norm, float(grads.dtype.type(max_norm / norm)) if norm > max_norm else 1.0]


def _norm(array: np.ndarray) -> float:
    """The Euclidean norm of all numbers, in float64."""
    return float(np.linalg.norm(np.float64(array)))


def _unit(array: np.ndarray) -> np.ndarray:
    """The direction of an array in float64; that of all ones if it is 0."""
    exact = array.astype(np.float64)
    direction = exact if exact.any() else np.ones_like(exact)
    return direction / np.linalg.norm(direction)
