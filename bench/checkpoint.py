"""What a checkpoint costs: `python bench/checkpoint.py`.

Saves and loads a PPO again and again and prints bytes, seconds (medians) and the share of the time that saving takes at
the default interval. "Load" includes making the environments and bringing them back.
"""

import statistics
import tempfile
import time
from pathlib import Path

from ppo_np import PPO, PPOConfig
from ppo_np.checkpoint import _packed, read_checkpoint
from ppo_np.hdf5 import unpack
from ppo_np.interval import Interval
from ppo_np.state import capture
from ppo_np.train import TrainOptions

REPEATS = 30
NETWORKS = {
    "article": PPOConfig(total_timesteps=2_048),
    "2 x [64, 64] tanh": PPOConfig(
        total_timesteps=2_048, shared_sizes=(), policy_sizes=(64, 64), value_sizes=(64, 64), activation="tanh"
    ),
}


def seconds(action) -> float:
    """Median time of an action."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(config: PPOConfig, folder: Path) -> list[str]:
    """The cells of one row: bytes, and milliseconds of what is done."""
    ppo, path = PPO(config).learn(), folder / "checkpoint.h5"
    checkpoint = capture(ppo)
    data = _packed(checkpoint)
    saving = seconds(lambda: ppo.save(path, keep_previous=True))
    parts = [seconds(lambda: _packed(checkpoint)), seconds(lambda: unpack(data)), saving]
    loading = [seconds(lambda: read_checkpoint(path)), seconds(lambda: PPO.load(path).close())]
    interval = Interval.parse(TrainOptions.checkpoint_every).seconds
    return [f"{len(data):,}", *(f"{1000 * x:.1f} ms" for x in (*parts, *loading)), f"{saving / interval:.2%}"]


def main() -> None:
    """Print the table."""
    columns = ["network", "bytes", "pack", "verify", "save, all in all", "read", "load", "share of the time"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for name, config in NETWORKS.items():
        with tempfile.TemporaryDirectory() as folder:
            print(f"| {' | '.join([name, *measure(config, Path(folder))])} |")


if __name__ == "__main__":
    main()
