"""Microseconds of one minibatch of 128 rows: forward pass, loss, backward pass, clipping and Adam.

Ours, torch eagerly and a compiled JAX program, with the better of 1 and 2 threads each, and JAX on one thread alone;
each in a process of its own, taking turns in slices of less than a second; see turns.py. For 2 x [64, 64] tanh and for
the article's network. Needs an idle machine:

    pip install ".[peers]"
    python bench/minibatch.py
    python bench/minibatch.py --quick

It writes the raw numbers to runs/bench/minibatch.json.
"""

import dataclasses

from contest import Contestant, machine, parser, show, versions_of, write
from end_to_end import ARTICLE, pace
from protocol import Job
from turns import compete

CONTESTANTS = (
    Contestant("ppo_np", "minibatch_ours.py"),
    Contestant("torch, eager", "minibatch_torch.py"),
    Contestant("jax.jit, one thread", "minibatch_jax.py", threads=(1,)),
)
NETWORKS = {
    "small": ("2 x [64, 64] tanh", Job()),
    "article": ("the article's [1024, 1024] ReLU", Job(**ARTICLE)),
}


def main() -> None:
    """Measure both networks, print a table of each, write the JSON file."""
    options = parser(__doc__, "minibatch")
    options.add_argument("--rounds", type=int, default=20, help="slices of each contestant (default 20)")
    options = options.parse_args()
    document = {"benchmark": "minibatch", "quick": options.quick} | machine() | {"rows": {}}
    for name, (title, job) in NETWORKS.items():
        results = compete(CONTESTANTS, job, pace(options))
        show(f"Minibatches of {job.minibatch_size} rows, {title}", results, "a second")
        document["rows"][name] = {"title": title, "job": dataclasses.asdict(job), "results": results}
        document["versions"] = document.get("versions", {}) | versions_of(results)
        write(options.out, document)


if __name__ == "__main__":
    main()
