"""Microseconds of one minibatch of 128 rows: forward pass, loss, backward pass, clipping and Adam.

Ours, torch eagerly and a compiled JAX program, with the better of 1 and 2 threads each, and JAX on one thread alone;
each in a process of its own, taking turns in slices of less than a second; see turns.py. For 2 x [64, 64] tanh and for
the article's network. Needs an idle machine:

    pip install ".[peers]"
    python -m bench.contests.minibatch
    python -m bench.contests.minibatch --quick

It writes the raw numbers to runs/bench/minibatch.json.
"""

import dataclasses

from bench.contests.contest import Contestant, new_document, parser, show, versions_of, write
from bench.contests.end_to_end import ARTICLE, pace
from bench.contests.turns import compete
from bench.peers.protocol import Job
from bench.report.sections import row_table

CONTESTANTS = (
    Contestant("ppo_np", "bench.peers.ours", "minibatch"),
    Contestant("torch, eager", "bench.peers.cleanrl", "minibatch"),
    Contestant("jax.jit, one thread", "bench.peers.jax_step", "minibatch", threads=(1,)),
)
NETWORKS = {
    "small": ("2 x [64, 64] tanh", Job()),
    "article": ("the article's [1024, 1024] ReLU", Job(**ARTICLE)),
}


def main() -> None:
    """Measure both networks, print a table of each, write the JSON file."""
    options = parser(__doc__, "minibatch", rounds=20).parse_args()
    document = new_document("minibatch", options) | {"rows": {}}
    for name, (title, job) in NETWORKS.items():
        results = compete(CONTESTANTS, job, pace(options))
        document["rows"][name] = {"title": title, "job": dataclasses.asdict(job), "results": results}
        show(row_table(name, document["rows"][name]))
        document["versions"] = document["versions"] | versions_of(results)
        write(options.out, document)


if __name__ == "__main__":
    main()
