"""The page docs/results.md, and the JSON files beside it from which it is made: one of each preset."""

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from bench.report.cases import CASES, GENERIC
from bench.report.tables import table_of
from ppo_np.errors import UserError, check
from ppo_np.evaluation.statistics import RESAMPLES, interval, iqm
from ppo_np.logs.filenames import CONFIG

Document = dict[str, Any]
COMMAND = "python -m bench.report.results"
NUMBERS = {
    "learning rate": "learning_rate", "gamma": "gamma", "lambda": "gae_lambda", "clip": "clip_coef",
    "entropy": "ent_coef",
}  # fmt: skip
ANNEALED = {"learning_rate": "anneal_lr", "clip_coef": "anneal_clip_coef", "ent_coef": "anneal_ent_coef"}

PAGE = """\
# Results of the presets

This page is generated from the files in [results](results), every number of it; do not edit it, but repeat

```sh
{commands}
```

{origins}

{presets}

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
{cases}
## Every seed

{seeds}

## Settings

{settings}
"""


def read_results(runs: Path, name: str) -> dict[str, list[Document]]:
    """What is stored in the files `name` of all run folders <runs>/<preset>/<seed>: by preset, in the order of seeds.

    Each has its settings as "config". Folders without such a file are told and left out.

    Raises:
        UserError: No run is finished, or two seeds of a preset have different settings.
    """
    found: dict[str, list[Document]] = {}
    for folder in sorted(path.parent for path in runs.glob(f"*/*/{CONFIG}")):
        if (folder / name).is_file():
            result = json.loads((folder / name).read_text())
            result["config"] = json.loads((folder / CONFIG).read_text())["config"]
            found.setdefault(result["preset"], []).append(result)
        else:
            print(f"Not finished, so left out: {folder}")
    check(bool(found), "runs", str(runs), f"a folder with a finished run: {COMMAND} train")
    for preset, results in found.items():
        results.sort(key=lambda result: result["seed"])
        first = results[0]["config"]
        for other in results[1:]:
            changed = [key for key in first if key != "seed" and first[key] != other["config"].get(key)]
            if changed:
                seeds = f"the seeds {results[0]['seed']} and {other['seed']} of the preset {preset}"
                raise UserError(f"runs is {str(runs)!r}, but there {seeds} differ in the setting {changed[0]}.")
    return found


def document_of(results: list[Document]) -> Document:
    """What is kept of a preset: its settings, the numbers of the first table, and those of each seed."""
    first = results[0]
    shared = {name: first[name] for name in ("preset", "env_id", "flags", "config", "reward_threshold")}
    return shared | summary(results) | {"runs": [{k: v for k, v in run.items() if k not in shared} for run in results]}


def summary(results: list[Document]) -> Document:
    """The numbers of one preset, from the results of its seeds."""
    scores, threshold = [result["mean"] for result in results], results[0]["reward_threshold"]
    return {
        "wall_time": median(result["wall_time"] for result in results),
        "SPS": median(result["steps"] / result["wall_time"] for result in results),
        "iqm": float(iqm(scores)),
        "interval": interval(scores),
        "mean": mean(scores),
        "worst": min(scores),
        "success_rate": None if threshold is None else mean(result["success_rate"] for result in results),
        "seeds_reached": None if threshold is None else sum(score >= threshold for score in scores),
    }


def text(value: Any, pattern: str) -> str:
    """A value by a pattern; "none" of None."""
    return "none" if value is None else pattern.format(value)


def preset_cells(document: Document) -> dict[str, str]:
    """A row of the first table."""
    seeds, ends = len(document["runs"]), document["interval"]
    return {
        "preset": document["preset"],
        "environment": document["env_id"],
        "seeds": str(seeds),
        "steps": f"{document['runs'][0]['steps']:,}",
        "time": f"{document['wall_time'] / 60:.1f} min",
        "SPS": f"{document['SPS']:,.0f}",
        "greedy return, IQM": f"{document['iqm']:.1f}",
        "95% interval": text(ends, "{0[0]:.1f} to {0[1]:.1f}"),
        "mean": f"{document['mean']:.1f}",
        "worst seed": f"{document['worst']:.1f}",
        "threshold": text(document["reward_threshold"], "{:g}"),
        "episodes at threshold": text(document["success_rate"], "{:.1%}"),
        "seeds at threshold": text(document["seeds_reached"], f"{{}} of {seeds}"),
    }


def seed_cells(result: Document) -> dict[str, str]:
    """A row about one run."""
    return {
        "seed": str(result["seed"]),
        "steps": f"{result['steps']:,}",
        "training time": f"{result['wall_time'] / 60:.1f} min",
        "last 100 training episodes": f"{result['training_return']:.1f}",
        "greedy mean": f"{result['mean']:.1f}",
        **{name: f"{result[name]:.1f}" for name in ("std", "min", "max")},
        "success": text(result["success_rate"], "{:.1%}"),
    }


def setting_cells(document: Document) -> dict[str, str]:
    """A row of the table of settings."""
    config = document["config"]
    towers = {name: ", ".join(map(str, config.get(f"{name}_sizes", ()))) for name in ("shared", "policy", "value")}
    network = [f"{name} {layers}" for name, layers in towers.items() if layers]
    cells = {
        "preset": document["preset"],
        "environments x steps": f"{config['num_envs']} x {config['num_steps']}",
        "epochs": str(config["update_epochs"]),
        "minibatches": str(config["num_minibatches"]),
        "network": "; ".join([*network, config["activation"]]),
    }
    for heading, name in NUMBERS.items():
        schedule = config.get(f"{name}_schedule") or ("annealed" if config.get(ANNEALED.get(name)) else "constant")
        cells[heading] = f"{config[name]:g}" + ("" if schedule == "constant" else f", {schedule}")
    normalised = [name.removeprefix("norm_") for name in config if name.startswith("norm_") and config[name]]
    return cells | {"normalised": ", ".join(normalised) or "none"}


def commit_text(run: Document) -> str:
    """The first digits of a commit, and whether the code was changed after it."""
    return (run["commit"] or "unknown")[:7] + (" + changes" if run["dirty"] else "")


def commands(documents: Sequence[Document]) -> Iterator[str]:
    """The commands that made the page; presets that were trained alike share one."""
    groups: dict[str, list[str]] = {}
    for document in documents:
        flags = [part for name, value in document["flags"].items() for part in (f"--{name.replace('_', '-')}", value)]
        words = ["--seeds", *(run["seed"] for run in document["runs"]), *flags]
        groups.setdefault(shlex.join(map(str, words)), []).append(document["preset"])
    for rest, names in groups.items():
        yield f"{COMMAND} train --presets {' '.join(names)} {rest}"
    yield f"{COMMAND} table"


def cases(documents: Sequence[Document]) -> Iterator[str]:
    """What the names stand for that are no presets."""
    known = [document["preset"] for document in documents if document["preset"] in CASES]
    if known:
        yield "- **Names that are no presets** stand for other flags of `python -m ppo_np.train`:"
    for name in known:
        about = " (the generic preset was not tuned on it)" if name in GENERIC else ""
        yield f"  - {name}: `{shlex.join(CASES[name])}`{about}"


def distinct(texts: Iterable[str], between: str = " and ") -> str:
    """Each text once, in the given order."""
    return between.join(dict.fromkeys(texts))


def origins(documents: Sequence[Document]) -> Iterator[str]:
    """When, on what and with what the presets were trained; those that were trained alike share a paragraph."""
    groups: dict[str, list[Document]] = {}
    for document in documents:
        runs = document["runs"]
        days = sorted(run["date"] for run in runs)
        machines = distinct(f"{run['machine']['cpu']}, {run['machine']['cores']} cores" for run in runs)
        versions = distinct(", ".join(f"{name} {number}" for name, number in run["versions"].items()) for run in runs)
        text = f"Trained {distinct((days[0], days[-1]), ' to ')} on {machines}; {versions}"
        groups.setdefault(text, []).append(document)
    for text, group in groups.items():
        commits = distinct(commit_text(run) for one in group for run in one["runs"])
        yield f"{', '.join(one['preset'] for one in group)}: {text}; commit {commits}."


def page(documents: Sequence[Document]) -> str:
    """The whole page."""
    seeds = [
        {"preset": document["preset"], **seed_cells(run), "commit": commit_text(run)}
        for document in documents
        for run in document["runs"]
    ]
    first, episodes = (documents[0]["runs"][0][name] for name in ("first_seed", "episodes"))
    return PAGE.format(
        commands="\n".join(commands(documents)), origins="\n\n".join(origins(documents)),
        presets=table_of([preset_cells(one) for one in documents]), seeds=table_of(seeds),
        settings=table_of([setting_cells(one) for one in documents]),
        cases="".join(f"{line}\n" for line in cases(documents)), episodes=episodes, first=first,
        last=first + episodes - 1, resamples=RESAMPLES,
    )  # fmt: skip
