"""Microseconds of one minibatch of 128 rows: forward pass, loss, backward pass, clipping and Adam.

Ours, torch eagerly and a compiled JAX program, with the better of 1 and 2 threads each, and JAX on one thread alone;
each in processes of their own that take turns. For 2 x [64, 64] tanh and for the article's network. Needs an idle
machine:

    pip install ".[peers]"
    python bench/minibatch.py
    python bench/minibatch.py --quick

It writes the raw numbers to runs/bench/minibatch.json.
"""

import dataclasses

from contest import Contestant, compete, machine, parser, show, versions_of, write
from end_to_end import ARTICLE
from protocol import Job

CONTESTANTS = (
    Contestant("ppo_np", "minibatch_ours.py"),
    Contestant("torch, eager", "minibatch_torch.py"),
    Contestant("jax.jit, one thread", "minibatch_jax.py", threads=(1,)),
)
NETWORKS = {
    "small": ("2 x [64, 64] tanh", Job(updates=2000)),
    "article": ("the article's [1024, 1024] ReLU", Job(updates=100, **ARTICLE)),
}


def main() -> None:
    """Measure both networks, print a table of each, write the JSON file."""
    options = parser(__doc__, "minibatch", repeats=7).parse_args()
    document = {"benchmark": "minibatch", "figure": "microseconds", "quick": options.quick} | machine() | {"rows": {}}
    for name, (title, job) in NETWORKS.items():
        if options.quick:
            job = dataclasses.replace(job, updates=job.updates // 10)
        repeats = 1 if options.quick else options.repeats
        results = compete(CONTESTANTS, job, "microseconds", best=min, repeats=repeats, timeout=options.timeout)
        show(f"One minibatch of {job.minibatch_size} rows, {title}", results, "us", less_is_better=True)
        document["rows"][name] = {"title": title, "job": dataclasses.asdict(job), "results": results}
        document["versions"] = document.get("versions", {}) | versions_of(results)
        write(options.out, document)


if __name__ == "__main__":
    main()
