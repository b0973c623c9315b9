"""Short runs of the train command, and the rows that they leave."""

import csv
import subprocess
import sys

import sample_environments  # noqa: F401  registers the test environments  # noqa: F401  registers the test environments

SMALL = ["--preset", "article", "--env-id", "CartPole-v1", "--num-steps", "16", "--shared-sizes", "8"]
TIMES = {"wall_time", "SPS", "time_env", "time_inference", "time_update"}


def train_in_a_process(folder, *arguments, **options):
    command = [sys.executable, "-m", "ppo_np.train", *SMALL, "--run-dir", str(folder), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def rows_without_times(folder):
    with open(folder / "metrics.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]
