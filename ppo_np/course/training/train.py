"""Lesson 20: the learner's functions train CartPole or LunarLander in place of the kernels.

1. Are the gradients right? Differences of the whole loss in float64, with the learner's functions installed.
2. Are the parameters after each update the same bits as those of the package's own run, under the same rounding?
3. If not: does a function give other numbers than its kernel, or are they only rounded differently? In the second
   case, the run goes on to its end, and its return counts.
"""

import dataclasses
from collections.abc import Callable
from contextlib import closing
from time import perf_counter
from typing import Any

import gymnasium
import numpy as np
from rich.console import Console

from ppo_np.checking.numerical_check import check_gradients
from ppo_np.config import PPOConfig
from ppo_np.course.training.calls import RESULT_BITS, Array, FunctionFault, Functions
from ppo_np.course.training.collecting import FIELDS, rollout_arrays
from ppo_np.course.training.collecting import NAME as COLLECT
from ppo_np.course.training.comparison import Comparison, Difference
from ppo_np.course.training.installed import Installation, minibatches_of
from ppo_np.course.training.kernel_functions import KERNEL_FUNCTIONS
from ppo_np.course.training.product_run import ProductRun, settings
from ppo_np.course.training.result import LOW, ROUNDED, SAME, WRONG, Mismatch, TrainingResult, WrongGradient
from ppo_np.course.training.screen import TrainingScreen
from ppo_np.environments.make import spaces_of
from ppo_np.errors import DivergedError, check
from ppo_np.learning.metrics import Metrics
from ppo_np.learning.policy import Policy
from ppo_np.learning.ppo import PPO

ENVS = ("cartpole", "lunarlander")
NextParameters = Callable[[], Array]
OTHER_ACTIONS = ("gaussian", "bernoulli", "multi")  # functions for actions that the two environments do not have
BACKWARD = ("categorical_backward", "mlp_backward", "actor_critic_backward")  # they get results of a forward pass
OF_ROUNDING = 8 * 2.0**-RESULT_BITS  # of the largest number
ROWS, PARTS = 14, 4  # of the minibatches that are compared with the package's
# What the two presets leave out.
SHARED: dict[str, Any] = {
    "shared_sizes": (16,), "policy_sizes": (8,), "value_sizes": (8,), "ent_coef": 0.01, "clip_vloss": True,
}  # fmt: skip
NETWORKS = {
    "the network of this run": {},
    "a network with shared layers": SHARED,
    "a network with shared layers and ReLU": SHARED | {"activation": "relu"},
}


def train_with(
    functions: Functions,
    env: str = "cartpole",
    seed: int | None = None,
    console: Console | None = None,
    updates: int | None = None,
    product: NextParameters | None = None,
) -> TrainingResult:
    """Train with the learner's functions, compare with the package, and print how it goes.

    Args:
        functions: by name, with the signatures of the course. Where one is missing, the kernel is used.
        env: "cartpole" or "lunarlander": the preset whose settings are used.
        seed: of the run; None for that of the preset.
        console: where to print; None prints nothing.
        updates: stop after so many; None trains to the end. Then the return counts too.
        product: gives the parameters after each update of the package's own run; None computes them in a second
            process.

    Raises UserError if `env` or `seed` is not allowed, and RunError if the package's own run fails.
    """
    check(env in ENVS, "env", env, " or ".join(ENVS))
    config = settings(env, seed)
    screen = TrainingScreen(console or Console(quiet=True))
    names = [name for name in (*KERNEL_FUNCTIONS, COLLECT) if not name.startswith(OTHER_ACTIONS)]
    installed = [name for name in names if name in functions]
    training = TrainingResult(env, config.seed, installed, updates or config.num_updates, updates is None)
    screen.start(training, [name for name in names if name not in functions])
    start = perf_counter()
    try:
        functions = _with_the_packages_order(training, functions)
        _check_gradients(training, functions, config)
        if training.wrong_gradients:
            training.mismatch = Mismatch(1)
            _find_functions(training, functions, config)
        elif product:
            _train(training, functions, config, screen, product)
        else:
            with ProductRun(env, config.seed, _parameters(config)) as run:
                _train(training, functions, config, screen, run.parameters)
    except FunctionFault as fault:
        training.fault = str(fault)
    training.seconds = perf_counter() - start
    training.verdict = _verdict(training, gymnasium.spec(config.env_id).reward_threshold)
    screen.close(training)
    return training


def _with_the_packages_order(training: TrainingResult, functions: Functions) -> Functions:
    """The functions without `minibatches` if it draws other random numbers than the package: that is no mistake."""
    if "minibatches" not in functions:
        return functions
    both = functions["minibatches"], KERNEL_FUNCTIONS["minibatches"]
    yours, products = (minibatches_of(function, ROWS, PARTS, np.random.default_rng(0)) for function in both)
    training.same_order = all(map(np.array_equal, yours, products))
    if training.same_order:
        return functions
    return {name: function for name, function in functions.items() if name != "minibatches"}


def _check_gradients(training: TrainingResult, functions: Functions, config: PPOConfig) -> None:
    """Check the gradients for the network of the run, and for two with shared layers and all terms of the loss."""
    with Installation(functions, rounding=False):
        for what, changes in NETWORKS.items():
            report = check_gradients(dataclasses.replace(config, **changes))
            training.gradients += len(report.checks)
            training.wrong_gradients += [WrongGradient(what, wrong) for wrong in report.wrong]


def _train(
    training: TrainingResult, functions: Functions, config: PPOConfig, screen: TrainingScreen, product: NextParameters
) -> None:
    """Train until the first update with other bits; if only rounding differs there, to the end."""

    def after_update(ppo: PPO, metrics: Metrics) -> None:
        returns = [episode.episodic_return for episode in ppo.recent_episodes]
        training.curve.append((metrics.step, float(np.mean(returns)) if returns else float("nan")))
        if not training.mismatch:
            training.mismatch = _mismatch(ppo, product())
        if metrics.update >= training.updates or (training.mismatch and not training.traced):
            ppo.stop()
        screen.update(training)

    yours = Installation(KERNEL_FUNCTIONS | dict(functions))
    with yours:
        ppo = PPO(config)
    with closing(ppo):
        try:
            with yours:
                ppo.learn(after_update)
        except DivergedError as error:
            training.mismatch = training.mismatch or Mismatch(len(training.curve) + 1, diverged=str(error))
        if training.mismatch and not training.traced:
            screen.note(f"Update {training.mismatch.update} has other bits. Repeating the run to find the function.")
            _find_functions(training, functions, config)
            if not training.differences and not training.mismatch.diverged and ppo.update < training.updates:
                with yours:
                    ppo.learn(after_update)


def _mismatch(ppo: PPO, products: Array) -> Mismatch | None:
    """The first parameter with other bits than the product's; None if there is none."""
    model = ppo.policy.model
    different = np.flatnonzero(model.params != products)
    if not len(different):
        return None
    where = np.zeros(model.params.size, bool)
    where[different[0]] = True
    for name, part in model.named(where).items():
        if part.any():
            place = tuple(int(i[0]) for i in part.nonzero())
            values = float(model.params[different[0]]), float(products[different[0]])
            return Mismatch(ppo.update, name, place, *values, len(different))
    raise AssertionError("every parameter belongs to a tensor")


def _find_functions(training: TrainingResult, functions: Functions, config: PPOConfig) -> None:
    """Repeat the package's run up to the update, with the learner's functions beside it on the same arguments."""
    assert training.mismatch
    last = training.mismatch.update
    beside = Installation(KERNEL_FUNCTIONS, beside=functions)

    def after_update(ppo: PPO, _: Metrics) -> None:
        beside.comparison.update = ppo.update + 1
        if ppo.update >= last:
            ppo.stop()

    training.traced = True
    try:
        with beside, closing(PPO(config)) as ppo:
            beside.comparison.update = 1
            ppo.learn(after_update)
        if COLLECT in functions and not beside.comparison.differences:
            _compare_rollouts(beside.comparison, functions[COLLECT], config, last)
    finally:
        training.differences = [
            one for one in beside.comparison.differences.values() if not _is_rounding(training, one)
        ]


def _is_rounding(training: TrainingResult, difference: Difference) -> bool:
    """Whether a difference may come from the rounding of what a backward pass is given, its gradients being right.

    The rounded probabilities of a row do not sum to 1 exactly, and H is rounded apart from them. Two right formulas
    that use such an identity in different places then give numbers that differ by about as much.
    """
    right = training.gradients > 0 and not training.wrong_gradients
    return right and difference.function in BACKWARD and difference.error <= OF_ROUNDING


def _compare_rollouts(comparison: Comparison, collect: Callable, config: PPOConfig, last: int) -> None:
    """Compare the rollouts of two of the package's runs, the second one with the learner's `collect`."""
    rollouts: list[list[Array]] = []

    def run(installation: Installation, note: Callable[[int, list[Array]], object]) -> None:
        def after_update(ppo: PPO, _: Metrics) -> None:
            assert installation.buffer
            note(ppo.update, rollout_arrays(installation.buffer))
            if ppo.update >= last or comparison.differences:
                ppo.stop()

        with installation, closing(PPO(config)) as ppo:
            ppo.learn(after_update)

    def compare(update: int, arrays: list[Array]) -> None:
        comparison.update = update
        comparison.add(COLLECT, FIELDS, arrays, rollouts[update - 1])

    run(Installation(KERNEL_FUNCTIONS), lambda _, arrays: rollouts.append(arrays))
    run(Installation(KERNEL_FUNCTIONS | {COLLECT: collect}), compare)


def _parameters(config: PPOConfig) -> int:
    """P, the number of parameters."""
    return Policy(*spaces_of(config), config, None).model.params.size


def _verdict(training: TrainingResult, threshold: float | None) -> str:
    training.threshold = threshold
    if (
        training.fault
        or training.wrong_gradients
        or training.differences
        or (training.mismatch and training.mismatch.diverged)
    ):
        return WRONG
    if not training.mismatch:
        return SAME
    low = training.complete and threshold is not None and not training.last_return >= threshold
    return LOW if low else ROUNDED
