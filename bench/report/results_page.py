"""The page docs/results.md: what `bench/results.py table` makes of the runs of `bench/results.py train`."""

import argparse
import json
import shlex
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from scipy.stats import bootstrap, trim_mean

from ppo_np.errors import UserError, check
from ppo_np.layout import CONFIG

RESAMPLES = 9_999
ANNEALED = {"learning_rate": "anneal_lr", "clip_coef": "anneal_clip_coef", "ent_coef": "anneal_ent_coef"}

TEXT = """\
## How to read it

- **Greedy, unseen seeds.** After training, the last network plays {episodes} episodes, always with its most probable
  action, from the environment seeds {first:,} to {last:,}; training started its environments from other ones. These are
  other episodes of the same environment, not of a harder one.
- **IQM**, the interquartile mean over seeds. The score of a run is the mean return of its {episodes} episodes; of n
  scores, n / 4 rounded down are left out at each end, and the others are averaged: the middle three of five, all of
  three. "Mean" and "worst seed" leave none out.
- **Interval.** It belongs to the IQM alone: a 95% bootstrap interval by percentiles ({resamples:,} resamples, fixed
  random seed), as [Agarwal et al. (2021)](https://arxiv.org/abs/2108.13264) advise. Seeds are resampled within a preset
  (the stratum), each with all its episodes; episodes are not. From few seeds such an interval is wide, and still not
  wide enough: even if scores were normally distributed, it would hold the true value in about 91% of cases with 5
  seeds, and in 75% with 3, where it simply goes from the worst to the best. One seed has none.
- **Episodes at threshold**: the share of all seeds' episodes whose return is at or above the environment's reward
  threshold; **seeds at threshold**: the runs whose score is. Some environments have none.
- **Time** is the median over seeds, of training alone, imports and evaluation left out; the very first run on a machine
  compiles the kernels as well. SPS is the median of steps / time. Whatever else the machine did at the time is in both.
"""


def iqm(scores: np.ndarray, axis: int = -1) -> np.ndarray:
    """Interquartile mean: the mean without the lowest and the highest quarter, each rounded down to whole scores."""
    return trim_mean(scores, 0.25, axis=axis)


def interval(scores: Sequence[float]) -> tuple[float, float] | None:
    """95% interval of the interquartile mean, by resampling scores; None for a single score."""
    if len(scores) < 2:
        return None
    found = bootstrap(
        (np.array(scores),), iqm, n_resamples=RESAMPLES, method="percentile", vectorized=True, axis=-1,
        random_state=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return float(found.low), float(found.high)


def read_json(path: Path) -> Any:
    """Read a file.

    Raises:
        UserError: It is missing, or not JSON.
    """
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as JSON: {error}") from error


def read_results(runs: Path, name: str) -> tuple[list[dict[str, Any]], list[Path]]:
    """What is stored in the files `name` of all run folders <runs>/<preset>/<seed>, by preset and seed.

    Returns:
        The finished runs, each with its settings as "config"; and the folders of those that have no such file.

    Raises:
        UserError: No run is finished, or two seeds of a preset have different settings.
    """
    folders = [path.parent for path in runs.glob(f"*/*/{CONFIG}")]
    finished = [run for run in folders if (run / name).is_file()]
    check(bool(finished), "runs", str(runs), "a folder with a finished run: python bench/results.py train")
    results = [read_json(run / name) | {"config": read_json(run / CONFIG)["config"]} for run in finished]
    results.sort(key=lambda result: (result["preset"], result["seed"]))
    for one, two in pairwise(results):
        changed = [k for k in one["config"] if k != "seed" and one["config"][k] != two["config"].get(k)]
        if one["preset"] == two["preset"] and changed:
            seeds = f"the seeds {one['seed']} and {two['seed']} of the preset {one['preset']}"
            raise UserError(f"runs is {str(runs)!r}, but there {seeds} differ in the setting {changed[0]}.")
    return results, sorted(set(folders) - set(finished))


def summaries(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The numbers of the first table: one dictionary a preset."""
    return [summary(list(group)) for _, group in groupby(results, key=lambda result: result["preset"])]


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The numbers of one preset, from the results of its seeds."""
    scores = [result["mean"] for result in results]
    threshold = results[0]["reward_threshold"]
    known = threshold is not None
    return {
        "preset": results[0]["preset"],
        "env_id": results[0]["env_id"],
        "seeds": [result["seed"] for result in results],
        "steps": results[0]["steps"],
        "wall_time": median(result["wall_time"] for result in results),
        "SPS": median(result["steps"] / result["wall_time"] for result in results),
        "iqm": float(iqm(scores)),
        "interval": interval(scores),
        "mean": mean(scores),
        "worst": min(scores),
        "reward_threshold": threshold,
        "success_rate": mean(result["success_rate"] for result in results) if known else None,
        "seeds_reached": sum(score >= threshold for score in scores) if known else None,
    }


def markdown_table(rows: Sequence[dict[str, str]]) -> str:
    """A Markdown table; the keys of the first row are its headings."""
    head, *body = (f"| {' | '.join(line)} |" for line in (rows[0], *(row.values() for row in rows)))
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])


def percent(share: float | None) -> str:
    """With a digit behind the point, so that 100% means all."""
    return "none" if share is None else f"{share:.1%}"


def preset_cells(row: dict[str, Any]) -> dict[str, str]:
    """A row of the first table."""
    seeds, threshold, reached = len(row["seeds"]), row["reward_threshold"], row["seeds_reached"]
    return {
        "preset": row["preset"],
        "environment": row["env_id"],
        "seeds": str(seeds),
        "steps": f"{row['steps']:,}",
        "time": f"{row['wall_time'] / 60:.1f} min",
        "SPS": f"{row['SPS']:,.0f}",
        "greedy return, IQM": f"{row['iqm']:.1f}",
        "95% interval": " to ".join(f"{end:.1f}" for end in row["interval"]) if row["interval"] else "none",
        "mean": f"{row['mean']:.1f}",
        "worst seed": f"{row['worst']:.1f}",
        "threshold": "none" if threshold is None else f"{threshold:g}",
        "episodes at threshold": percent(row["success_rate"]),
        "seeds at threshold": "none" if reached is None else f"{reached} of {seeds}",
    }


def seed_cells(result: dict[str, Any]) -> dict[str, str]:
    """A row about one run."""
    return {
        "seed": str(result["seed"]),
        "steps": f"{result['steps']:,}",
        "training time": f"{result['wall_time'] / 60:.1f} min",
        "last 100 training episodes": f"{result['training_return']:.1f}",
        "greedy mean": f"{result['mean']:.1f}",
        **{name: f"{result[name]:.1f}" for name in ("std", "min", "max")},
        "success": percent(result["success_rate"]),
    }


def network(config: dict[str, Any]) -> str:
    """Hidden layers and activation, for instance "policy 64, 64; value 64, 64; tanh"."""
    sizes = {name: config.get(f"{name}_sizes") for name in ("shared", "policy", "value")}
    parts = (f"{name} {', '.join(map(str, layers))}" for name, layers in sizes.items() if layers)
    return "; ".join([*parts, config.get("activation", "?")])


def setting_cells(result: dict[str, Any]) -> dict[str, str]:
    """A row of the table of settings; a setting that the run's config.json lacks is a question mark."""
    config = result["config"]

    def text(name: str) -> str:
        value = config.get(name, "?")
        number = f"{value:g}" if isinstance(value, float) else f"{value}"
        return f"{number}, annealed" if config.get(ANNEALED.get(name)) else number

    normalised = [name.removeprefix("norm_") for name in config if name.startswith("norm_") and config[name]]
    return {
        "preset": result["preset"],
        "environments x steps": f"{text('num_envs')} x {text('num_steps')}",
        "epochs": text("update_epochs"),
        "minibatches": text("num_minibatches"),
        "network": network(config),
        "learning rate": text("learning_rate"),
        "gamma": text("gamma"),
        "lambda": text("gae_lambda"),
        "clip": text("clip_coef"),
        "entropy": text("ent_coef"),
        "normalised": ", ".join(normalised) or "none",
    }


def commit_text(result: dict[str, Any]) -> str:
    """The first digits of a commit, and whether the code was changed after it."""
    return (result["commit"] or "unknown")[:7] + (" + changes" if result["dirty"] else "")


def commands(results: list[dict[str, Any]], options: argparse.Namespace) -> Iterable[str]:
    """The commands that made the page; presets that were trained alike share one."""
    groups: dict[tuple, list[str]] = {}
    for preset, group in groupby(results, key=lambda result: result["preset"]):
        runs = list(group)
        flags = tuple((name, value) for name, value in runs[0]["flags"].items() if value is not None)
        groups.setdefault((tuple(run["seed"] for run in runs), flags), []).append(preset)
    for (seeds, flags), presets in groups.items():
        more = [part for name, value in flags for part in (f"--{name.replace('_', '-')}", value)]
        words = ["train", "--presets", *presets, "--seeds", *seeds, "--runs", options.runs, *more]
        yield f"python bench/results.py {shlex.join(map(str, words))}"
    files = [
        part for name in ("keep", "json") if getattr(options, name) for part in (f"--{name}", getattr(options, name))
    ]
    words = ["table", "--runs", options.runs, "--out", options.out, *files]
    yield f"python bench/results.py {shlex.join(map(str, words))}"


def distinct(texts: Iterable[str]) -> str:
    """Each text once, in the given order."""
    return " and ".join(dict.fromkeys(texts))


def origin(results: list[dict[str, Any]]) -> str:
    """When, on what and with what the runs were done; what differs among them is listed, in the order of time."""
    in_time = sorted(results, key=lambda result: result["date"])
    days = " to ".join(dict.fromkeys((in_time[0]["date"], in_time[-1]["date"])))
    machines = distinct(f"{run['machine']['cpu']}, {run['machine']['cores']} cores" for run in in_time)
    versions = distinct(", ".join(f"{name} {number}" for name, number in run["versions"].items()) for run in in_time)
    return f"Trained {days} on {machines}; {versions}; commit {distinct(map(commit_text, in_time))}."


def page(results: list[dict[str, Any]], unfinished: list[Path], options: argparse.Namespace) -> str:
    """The whole page."""
    rows = summaries(results)
    one_each = [next(group) for _, group in groupby(results, key=lambda result: result["preset"])]
    seeds = [{"preset": run["preset"], **seed_cells(run), "commit": commit_text(run)} for run in results]
    first, episodes = results[0]["first_seed"], results[0]["episodes"]
    missing = f"\nNot finished, so not in the tables: {', '.join(map(str, unfinished))}.\n" if unfinished else ""
    text = TEXT.format(episodes=episodes, first=first, last=first + episodes - 1, resamples=RESAMPLES)
    listing = "\n".join(commands(results, options))
    return f"""\
# Results of the presets

This page is generated, every number of it; do not edit it, but repeat

```sh
{listing}
```

{origin(results)}
{missing}
{markdown_table([preset_cells(row) for row in rows])}

{text}
## Every seed

{markdown_table(seeds)}

## Settings

{markdown_table([setting_cells(run) for run in one_each])}
"""
