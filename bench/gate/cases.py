"""What the gate looks at: kernels, a whole minibatch and an acting step, each beside plain NumPy, all in float32.

The kernels' arguments are those of bench/kernels; of the network, the parameters stay where they are.
"""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np

from bench.kernels import cases
from bench.kernels.cases import Case, Draw, shapes
from bench.ours import LARGEST, Learner
from bench.peers.rows import random_rows
from bench.reference.network import NumpyLearner
from ppo_np.config import PPOConfig

# Learning rate 0 is not allowed; by so little no parameter moves.
NETWORK = PPOConfig(
    shared_sizes=(), policy_sizes=(64, 64), value_sizes=(64, 64), activation="tanh", learning_rate=1e-30
)


def minibatch(draw: Draw, b: int) -> Case:
    """Forward pass, loss, backward pass, clipping and Adam over B rows."""
    learner = Learner(NETWORK, random_rows(b, seed=0))
    plain, found = NumpyLearner(learner), (learner.activations.loss_terms, learner.model.grads)

    def ours():
        learner.step()
        return found

    def numpys():
        plain.step()
        return found

    return Case(ours, numpys, ())


def act(draw: Draw, n: int) -> Case:
    """One step of N environments: run the network, draw actions."""
    learner = Learner(NETWORK, random_rows(n, seed=0))
    plain, activations, rng = NumpyLearner(learner), learner.activations, np.random.default_rng(0)
    found = activations.policy_outputs, activations.values

    def ours():
        learner.model.act(learner.minibatch.obs, LARGEST, activations)
        activations.distribution.sample(activations.policy_outputs, rng)
        return found

    def numpys():
        plain.act(rng)
        return found

    return Case(ours, numpys, ())


SHAPES = {
    "linear_forward": ("4x64x64", "128x64x64", "128x1024x1024"),
    "linear_backward_parameters": ("128x64x64", "128x1024x1024"),
    "linear_backward_input": ("128x64x64", "128x1024x1024"),
    "relu_forward": ("128x1024",),
    "relu_backward": ("128x64",),
    "tanh_forward": ("4x64", "128x64"),
    "tanh_backward": ("128x64",),
    "categorical_sample": ("4x4",),
    "categorical_forward": ("128x4",),
    "categorical_backward": ("128x4",),
    "gaussian_forward": ("128x4",),
    "gaussian_backward": ("128x4",),
    "ppo_loss_forward": ("128",),
    "ppo_loss_backward": ("128",),
    "gae": ("128x4",),
    "normalize": ("128",),
    "standardize": ("64x8",),
    "global_norm": ("9797",),
    "adam": ("9797",),
    "minibatch": ("128",),
    "act": ("4",),
}
CASES = {f"{name} {shape}": (name, sizes) for name, of in SHAPES.items() for shape, sizes in shapes(*of).items()}


def maker(name: str) -> Callable[..., Case]:
    """The function that makes a kernel's case for bench/kernels, or one of those above."""
    if name in ("minibatch", "act"):
        return {"minibatch": minibatch, "act": act}[name]
    files = sorted(Path(cases.__file__).parent.glob("bench_*.py"))
    tests = (getattr(import_module(f"bench.kernels.{file.stem}"), f"test_{name}", None) for file in files)
    return next(test.case for test in tests if test)


def case_of(name: str) -> Case:
    """A case, made anew, whose arguments may be used thousands of times."""
    kernel, sizes = CASES[name]
    case = maker(kernel)(Draw(), *sizes)
    return replace(case, arguments=case.timed or case.arguments)
