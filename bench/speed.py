"""Measure training speed on LunarLander-v3, 4 environments x 128 steps: steps a second (SPS), and where a step goes.

Two networks: two separate [64, 64] tanh networks, and the article's shared [1024, 1024] ReLU network. SPS is taken
over single updates, the first 5 left out; microseconds are medians for one environment step. On an idle 2-core machine
the medians with the better number of threads must not fall below 11,000 (64) and 1,400 (article). Needs Box2D:

    python bench/speed.py
    python bench/speed.py --updates 50 --threads 1 --json speed.json
"""

import argparse
import json
import platform
from collections.abc import Callable
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from ppo_np import PPO, PPOConfig
from ppo_np.checkpoint import library_versions
from ppo_np.logger import Metrics

NETWORKS = {
    "2x64 tanh": {
        "shared_sizes": (), "policy_sizes": (64, 64), "value_sizes": (64, 64), "activation": "tanh",
    },
    "article": {},
}  # fmt: skip
WARM_UP = 5
HEADINGS = ("network", "threads", "SPS min", "median", "max", "env", "inference", "update")


def train(config: PPOConfig) -> list[Metrics]:
    """Train, and return the metrics of all updates but the first ones."""
    rows: list[Metrics] = []
    ppo = PPO(config)
    try:
        ppo.learn(lambda _ppo, metrics: rows.append(metrics))
    finally:
        ppo.close()
    return rows[WARM_UP:]


def summary(rows: list[Metrics], steps: int) -> dict[str, float]:
    """SPS (min, median, max) and the median microseconds a step; `steps` are the environment steps of an update."""

    def microseconds(seconds: Callable[[Metrics], float]) -> float:
        return median(map(seconds, rows)) / steps * 1e6

    sps = [row.SPS for row in rows]
    return {
        "sps_min": min(sps),
        "sps_median": median(sps),
        "sps_max": max(sps),
        "env_us": microseconds(lambda row: row.time_env),
        "inference_us": microseconds(lambda row: row.time_inference),
        "update_us": microseconds(lambda row: row.time_update),
    }


def processor() -> str:
    """Model name of the processor, as far as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def machine() -> dict[str, str]:
    """The processor, and the versions that shape the speed."""
    versions = {name: version for name, version in library_versions().items() if name in ("python", "numpy", "numba")}
    return {"cpu": processor()} | versions


def parse() -> argparse.Namespace:
    """Options from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=200, help=f"updates a network, the first {WARM_UP} not counted")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads to try")
    parser.add_argument("--json", type=Path, help="write the numbers to this file as well")
    options = parser.parse_args()
    if options.updates <= WARM_UP:
        parser.error(f"--updates is {options.updates}, but it must be more than {WARM_UP}")
    return options


def main() -> None:
    """Train each network with each number of threads, print the table, write the JSON file."""
    options = parse()
    results = []
    for network, settings in NETWORKS.items():
        for threads in options.threads:
            config = PPOConfig(total_timesteps=options.updates * PPOConfig().batch_size, threads=threads, **settings)
            numbers = summary(train(config), config.batch_size)
            results.append({"network": network, "threads": threads} | numbers)
    table = Table(title=f"LunarLander-v3, {options.updates} updates; env, inference, update: us a step")
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        table.add_row(*(f"{value:,.0f}" if isinstance(value, float) else str(value) for value in result.values()))
    console = Console()
    console.print(table)
    console.print(", ".join(f"{what} {value}" for what, value in machine().items()), highlight=False, soft_wrap=True)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
