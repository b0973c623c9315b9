"""Training with other functions than the kernels: those of the learner, or the kernels again as their judge.

While functions are installed, the package calls them where it would call its kernels. Each one gets copies in float64
and returns new arrays. Its results are rounded and written into the package's arrays. As with `planted_bugs`, nothing
else of the package changes.

Two right functions differ in the last bits, because a sum in another order is rounded differently. If the results of
both are rounded to 16 bits before anything else sees them, they agree, unless a result lies almost exactly in the
middle of two such numbers. Adam's moments stay in float64, unrounded: small changes must add up in them.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Self
from unittest.mock import patch

import numpy as np

from ppo_np.course.training.calls import Array, Caller, FunctionFault, Functions, called
from ppo_np.course.training.collecting import collect_with
from ppo_np.course.training.comparison import Comparison
from ppo_np.course.training.network_hooks import NetworkHooks, Replacement
from ppo_np.environments.stream import EnvStream
from ppo_np.errors import short
from ppo_np.learning import minibatches, ppo, rollout_buffer
from ppo_np.learning.compiled_rollout import CompiledSteps
from ppo_np.learning.minibatches import MinibatchSampler, MinibatchSlice
from ppo_np.learning.policy import Policy
from ppo_np.learning.rollout import RolloutBuffer, RolloutReport
from ppo_np.network import distributions, model
from ppo_np.network.distributions import MultiCategorical

# Functions that have the arguments of their kernel, and return what the kernel writes: where the package looks the
# kernel up, and the names of the results.
SAME_ARGUMENTS = {
    "categorical_forward": (distributions, ("log_probs", "logprobs", "entropies")),
    "categorical_backward": (distributions, ("dlogits",)),
    "bernoulli_forward": (distributions, ("logprobs", "entropies")),
    "bernoulli_backward": (distributions, ("dlogits",)),
    "gaussian_forward": (distributions, ("logprobs", "entropies")),
    "gaussian_backward": (distributions, ("dmeans", "dlog_std")),
    "gae": (rollout_buffer, ("advantages", "returns")),
    "normalize": (minibatches, ("normalized",)),
}


class Installation:
    """A context in which functions replace the kernels of the same names; it can be entered again and again.

    Args:
        functions, rounding, beside: as for `Caller`. Kernels without a function here stay. Functions that the package
            does not call, such as `relu_backward`, change nothing.

    Attributes:
        buffer: the last rollout; None before the first one.
        comparison: of the functions `beside` with the others.
    """

    def __init__(self, functions: Functions, rounding: bool = True, beside: Functions | None = None):
        self._caller = Caller(functions, rounding, beside)
        self._network = NetworkHooks(self._caller)
        self._patches = ExitStack()
        self.comparison: Comparison = self._caller.comparison
        self.buffer: RolloutBuffer | None = None

    def __enter__(self) -> Self:
        with ExitStack() as patches:
            for place in self._replacements():
                patches.enter_context(patch.object(*place))
            self._patches = patches.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._patches.close()

    def _replacements(self) -> list[Replacement]:
        """What to replace in the package."""
        hooks: dict[str, Replacement] = {
            "categorical_sample": (distributions, "categorical_sample", self._categorical_sample),
            "multi_categorical_forward": (MultiCategorical, "forward", _method(self._multi_forward)),
            "multi_categorical_backward": (MultiCategorical, "backward", _method(self._multi_backward)),
            "ppo_loss": (model, "ppo_loss_forward", self._ppo_loss(model.ppo_loss_forward)),
            "ppo_loss_backward": (model, "ppo_loss_backward", self._ppo_loss_backward),
            "minibatches": (MinibatchSampler, "epochs", _method(self._epochs)),
        }
        for name, (module, results) in SAME_ARGUMENTS.items():
            hooks[name] = module, name, self._same_arguments(name, results)
        collecting: Replacement = (ppo, "collect", self._collect(ppo.collect))
        return [
            collecting,
            (CompiledSteps, "of", lambda *_: None),  # its kernels have the package's functions in them
            *self._network.replacements(),
            *(hook for name, hook in hooks.items() if name in self._caller),
        ]

    def _same_arguments(self, name: str, results: tuple[str, ...]) -> Callable[..., None]:
        def hook(*arguments: Any) -> None:
            inputs = len(arguments) - len(results)
            self._caller.call(name, arguments[:inputs], list(zip(results, arguments[inputs:], strict=True)))

        return hook

    def _categorical_sample(
        self, logits: Array, uniforms: Array, log_probs: Array, actions: Array, logprobs: Array
    ) -> None:
        self._caller.call("categorical_sample", (logits, uniforms), [("actions", actions), ("logprobs", logprobs)])
        if actions.min() < 0 or actions.max() >= logits.shape[1]:
            allowed = f"from 0 to {logits.shape[1] - 1}"
            raise FunctionFault("categorical_sample", f"returned the action {actions.max()}, but it must be {allowed}")

    def _multi_forward(self, owner: MultiCategorical, logits: Array, actions: Array, *_mask: None) -> None:
        targets = [("logprobs", owner.logprobs), ("entropies", owner.entropies)]
        self._caller.call("multi_categorical_forward", (logits, actions, owner.sizes), targets)

    def _multi_backward(self, owner: MultiCategorical, dlogprobs: Array, dentropies: Array, *arrays: Array) -> None:
        logits, actions, dlogits, *_mask = arrays  # which is None: no environment of the course has masks
        arguments = dlogprobs, dentropies, logits, actions, owner.sizes
        self._caller.call("multi_categorical_backward", arguments, [("dlogits", dlogits)])

    def _ppo_loss(self, kernel: Callable[..., None]) -> Callable[..., None]:
        """The kernel computes the terms for the logs; the function gives the loss itself."""

        def hook(*arguments: Any) -> None:
            *inputs, _value_clip_coef, terms = arguments  # in the course it is clip_coef
            kernel(*arguments)
            self._caller.call("ppo_loss", inputs, [("loss", terms[0:1].reshape(()))])

        return hook

    def _ppo_loss_backward(self, *arguments: Any) -> None:
        *inputs, _value_clip_coef, dlogprobs, dentropies, dvalues = arguments  # in the course it is clip_coef
        targets = [("dlogprobs", dlogprobs), ("dentropies", dentropies), ("dvalues", dvalues)]
        self._caller.call("ppo_loss_backward", inputs, targets)

    def _collect(self, original: Callable[..., RolloutReport]) -> Callable[..., RolloutReport]:
        """The rollout, by the learner's function or by the package's; the buffer is noted."""

        def hook(stream: EnvStream, policy: Policy, workspace: Any, buffer: RolloutBuffer, *more: Any) -> RolloutReport:
            self.buffer = buffer
            if "collect" in self._caller:
                return collect_with(self._caller.functions["collect"], stream, policy, buffer, *more)
            return original(stream, policy, workspace, buffer, *more)

        return hook

    def _epochs(
        self, sampler: MinibatchSampler, valid: Array, update_epochs: int, num_minibatches: int, *more: Any
    ) -> list[list[MinibatchSlice]]:
        """As `MinibatchSampler.epochs`. Each epoch shuffles the order of the epoch before, as the package does."""
        _, rng = more
        order = np.flatnonzero(valid)
        epochs = []
        for epoch in range(1, update_epochs + 1):
            function = self._caller.functions["minibatches"]
            parts = minibatches_of(function, len(order), num_minibatches, rng)
            order, ends = order[np.concatenate(parts)], np.cumsum([len(part) for part in parts])
            indices = np.split(order, ends[:-1])
            epochs.append([MinibatchSlice(part, len(part), epoch, n) for n, part in enumerate(indices, 1)])
        return epochs


def installed(functions: Functions, rounding: bool = True) -> Installation:
    """A context in which these functions replace the kernels of the same names.

    Args:
        functions: by name, with the signatures of the course: float64 arrays in, new arrays out.
        rounding: whether their results are rounded; not for gradient checks in float64.

    Calls in this context raise FunctionFault if a function raises an exception or returns a wrong shape.
    """
    return Installation(functions, rounding)


def _method(hook: Callable[..., Any]) -> Callable[..., Any]:
    """The hook as a plain function: put into a class, it becomes a method and gets the object."""
    return lambda owner, *arguments: hook(owner, *arguments)


def minibatches_of(
    function: Callable[..., Any], rows: int, num_minibatches: int, rng: np.random.Generator
) -> list[Array]:
    """The minibatches of an epoch. Raises FunctionFault unless they hold each row once and are even in size."""
    name = "minibatches"
    parts = called(name, function, (rows, num_minibatches, rng))
    if not isinstance(parts, list | tuple) or len(parts) != num_minibatches:
        raise FunctionFault(name, f"returned {short(parts, 60)}, but it must return a list of {num_minibatches} arrays")
    every = np.concatenate(parts)
    if every.dtype.kind not in "iu" or every.min() < 0 or every.max() >= rows:
        raise FunctionFault(name, f"returned {short(every, 60)}, but rows must be integers from 0 to {rows - 1}")
    counts = np.bincount(every, minlength=rows)
    wrong = np.flatnonzero(counts != 1)
    if len(wrong):
        times = f"row {wrong[0]} {counts[wrong[0]]} times in an epoch"
        raise FunctionFault(name, f"returned {times}, but each of the {rows} rows must occur once")
    sizes = [len(part) for part in parts]
    if max(sizes) > min(sizes) + 1:
        raise FunctionFault(name, f"returned minibatches of {min(sizes)} to {max(sizes)} rows; they may differ by one")
    return list(parts)
