"""Run folders as `train` leaves them, written without training."""

import json
from functools import cache

import numpy as np

from ppo_np.evaluation.periodic import COLUMNS
from ppo_np.learning.metrics import METRICS_COLUMNS
from ppo_np.logs.filenames import CONFIG, EVALUATIONS, METRICS, VIDEOS
from ppo_np.running.options import parse
from ppo_np.running.resume import OPTIONS

UPDATES, STEPS = 40, 256  # of a run, and of an update


parsed = cache(parse)


def make_run(folder, *arguments, updates=UPDATES, evaluations=0, film=b"", columns=()):
    """A run folder of `train` with these arguments; its return is 10 + update + seed, its update takes 1 s.

    Every 10th update has an evaluation of 5 episodes with mean 100 + update + seed and std 4.
    """
    folder.mkdir(parents=True)
    options = parsed(arguments if {"--preset", "--env-id"} & set(arguments) else ("--preset", "cartpole", *arguments))
    document = {"preset": options.preset, "config": options.config.to_dict(), "resumed": []}
    document["options"] = {name: getattr(options, name) for name in OPTIONS if name != "preset"}
    document |= {"versions": {"numpy": "2.4.6"}, "blas_threads": 1}
    (folder / CONFIG).write_text(json.dumps(document))
    seed = options.config.seed
    lines = [",".join([*METRICS_COLUMNS, *columns])]
    for update in range(1, updates + 1):
        row = dict.fromkeys(METRICS_COLUMNS, 0.5) | dict.fromkeys(columns, update / 4)
        row |= {"update": update, "step": STEPS * update, "wall_time": 1.0 * update, "episodes": 2}
        row |= {"episodic_return": 10.0 + update + seed, "entropy": np.exp(-update / 20)}
        row |= {"time_env": 0.25, "time_inference": 0.125, "time_update": 0.5}
        lines.append(",".join(map(str, row.values())))
    (folder / METRICS).write_text("\n".join(lines) + "\n")
    rows = [
        (k, STEPS * k, 1.0 * k, 5, 100.0 + k + seed, 4.0, 90.0, 110.0, 50.0, 1)
        for k in range(10, evaluations * 10 + 1, 10)
    ]
    if rows:
        (folder / EVALUATIONS).write_text("\n".join(",".join(map(str, row)) for row in [COLUMNS, *rows]) + "\n")
    if film:
        (folder / VIDEOS).mkdir()
        (folder / VIDEOS / "rl-video-episode-3.mp4").write_bytes(film)
    return folder


def six_runs(folder):
    """Six runs in a folder, which is returned: two settings with three seeds each, one of them with a film."""
    for rate in ("1e-3", "3e-3"):
        for seed in ("1", "2", "3"):
            film = b"film" * (rate == "1e-3" and seed == "2")
            make_run(folder / f"{rate}-{seed}", "--learning-rate", rate, "--seed", seed, evaluations=4, film=film)
    return folder
