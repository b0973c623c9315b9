"""What the gate looks at: kernels, a whole minibatch and an acting step, each beside plain NumPy, all in float32.

The kernels' arguments are those of bench/kernels; of the network, the parameters stay where they are.
"""

from dataclasses import replace

import numpy as np

from bench.kernels import bench_activation as activation
from bench.kernels import bench_advantage as advantage
from bench.kernels import bench_categorical as categorical
from bench.kernels import bench_gaussian as gaussian
from bench.kernels import bench_linear as linear
from bench.kernels import bench_loss as loss
from bench.kernels import bench_moments as moments
from bench.kernels import bench_optimizer as optimizer
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
    plain = NumpyLearner(learner)

    def ours():
        learner.step()
        return learner.batch.terms, learner.model.grads

    def numpys():
        plain.step()
        return learner.batch.terms, learner.model.grads

    return Case(ours, numpys, ())


def act(draw: Draw, n: int) -> Case:
    """One step of N environments: run the network, draw actions."""
    learner = Learner(NETWORK, random_rows(n, seed=0))
    plain, batch, rng = NumpyLearner(learner), learner.batch, np.random.default_rng(0)

    def ours():
        learner.model.act(batch.obs, LARGEST, batch)
        batch.distribution.sample(batch.pi_out, rng)
        return batch.pi_out, batch.values

    def numpys():
        plain.act(rng)
        return batch.pi_out, batch.values

    return Case(ours, numpys, ())


TABLE = {
    "linear_forward": (linear.forward, ("4x64x64", "128x64x64", "128x1024x1024")),
    "linear_backward_parameters": (linear.backward_parameters, ("128x64x64", "128x1024x1024")),
    "linear_backward_input": (linear.backward_input, ("128x64x64", "128x1024x1024")),
    "relu_forward": (activation.relu, ("128x1024",)),
    "relu_backward": (activation.relu_back, ("128x64",)),
    "tanh_forward": (activation.tanh, ("4x64", "128x64")),
    "tanh_backward": (activation.tanh_back, ("128x64",)),
    "categorical_sample": (categorical.sample, ("4x4",)),
    "categorical_forward": (categorical.forward, ("128x4",)),
    "categorical_backward": (categorical.backward, ("128x4",)),
    "gaussian_forward": (gaussian.forward, ("128x4",)),
    "gaussian_backward": (gaussian.backward, ("128x4",)),
    "ppo_loss_forward": (loss.forward, ("128",)),
    "ppo_loss_backward": (loss.backward, ("128",)),
    "gae": (advantage.estimate, ("128x4",)),
    "normalize": (advantage.normal, ("128",)),
    "standardize": (moments.standard, ("64x8",)),
    "global_norm": (optimizer.norm, ("9797",)),
    "adam": (optimizer.step, ("9797",)),
    "minibatch": (minibatch, ("128",)),
    "act": (act, ("4",)),
}
CASES = {f"{name} {shape}": (make, sizes) for name, (make, of) in TABLE.items() for shape, sizes in shapes(*of).items()}


def case_of(name: str) -> Case:
    """A case, made anew, whose arguments may be used thousands of times."""
    make, sizes = CASES[name]
    case = make(Draw(), *sizes)
    return replace(case, arguments=case.timed or case.arguments)
