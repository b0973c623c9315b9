"""What the checks for numbers that are not finite cost: time with and without them, on one BLAS thread.

"epochs" is the work on a rollout of 4 environments x 128 steps, which is done once: the check of the parameters and of
Adam's moments, and 16 minibatches, each with its check. "update" is the rollout as well, on LunarLander:
each of its steps has checks of observations, rewards, values and log-probabilities. With and without take turns. At
most 2 % are allowed:

    python bench/flight.py
    python bench/flight.py --repeats 300
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from statistics import median
from time import perf_counter

from rich.console import Console
from rich.table import Table

from ppo_np import PPO, PPOConfig, flight, rollout, stream
from ppo_np.threads import limit_blas_threads

NETWORKS = {
    "2x64 tanh": {"shared_sizes": (), "policy_sizes": (64, 64), "value_sizes": (64, 64), "activation": "tanh"},
    "article": {},
}
HEADINGS = ("network", "what", "with (ms)", "without (ms)", "cost")
ALLOWED = 2.0


SEARCHES = ((flight, "first_outside"), (stream, "first_outside"), (rollout, "all_finite"))


@contextmanager
def without_checks() -> Iterator[None]:
    """Nothing is looked at, but the gradient's norm, which is needed for the clipping anyway."""
    before = flight.check_state, flight.check_minibatch
    searches = [getattr(module, name) for module, name in SEARCHES]
    flight.check_state = flight.check_minibatch = lambda *_: None
    for module, name in SEARCHES:
        setattr(module, name, lambda *_: -1)
    try:
        yield
    finally:
        flight.check_state, flight.check_minibatch = before
        for (module, name), search in zip(SEARCHES, searches, strict=True):
            setattr(module, name, search)


def epochs(run: PPO) -> float:
    """Seconds of the work on the rollout that is there."""
    start = perf_counter()
    run._run_epochs(run.config)
    flight.check_state(run, run.config, "after the epochs")
    return perf_counter() - start


def update(run: PPO) -> float:
    """Seconds of a whole update."""
    start = perf_counter()
    run._run_update(start)
    return perf_counter() - start


def measure(settings: dict, seconds: Callable[[PPO], float], repeats: int) -> tuple[float, float, float]:
    """Medians with and without the checks, in milliseconds, and the median of the pairs' differences in per cent."""
    config = PPOConfig(env_id="LunarLander-v3", total_timesteps=10**9, learning_rate=1e-9, threads=1, **settings)
    run = PPO(config)
    pairs = []
    try:
        run.learn(lambda run, _: run.stop())
        with limit_blas_threads(1):
            for number in range(repeats):
                pair = [0.0, 0.0]
                for unchecked in (0, 1) if number % 2 else (1, 0):
                    with without_checks() if unchecked else nullcontext():
                        pair[unchecked] = seconds(run)
                pairs.append(pair)
    finally:
        run.close()
    with_checks, without = (median(column) for column in zip(*pairs, strict=True))
    cost = median((a - b) / b for a, b in pairs)
    return 1e3 * with_checks, 1e3 * without, 100 * cost


def main() -> None:
    """Measure both networks, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=100, help="pairs of updates a network (default: 100)")
    options = parser.parse_args()
    table = Table(title=f"Checks: medians of {options.repeats} pairs; allowed cost {ALLOWED} %")
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for network, settings in NETWORKS.items():
        for what, seconds in (("epochs", epochs), ("update", update)):
            checked, unchecked, cost = measure(settings, seconds, options.repeats)
            table.add_row(network, what, f"{checked:.2f}", f"{unchecked:.2f}", f"{cost:+.2f} %")
    Console().print(table)


if __name__ == "__main__":
    main()
