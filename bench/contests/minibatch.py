"""Minibatches of 128 rows a second: forward pass, loss, backward pass, clipping and Adam.

Ours, torch eagerly and a compiled JAX program, with the better of 1 and 2 threads each, and JAX on one thread alone;
each in a process of its own, taking turns in slices of less than a second; see turns.py. For 2 x [64, 64] tanh and for
the article's network.
"""

from bench.contests.contest import Contestant, begin
from bench.contests.end_to_end import ARTICLE, Row, run_rows
from bench.peers.protocol import Job

CONTESTANTS = (
    Contestant("ppo_np", "bench.peers.ours", "minibatch"),
    Contestant("torch, eager", "bench.peers.cleanrl", "minibatch"),
    Contestant("jax.jit, one thread", "bench.peers.jax_step", "minibatch", threads=(1,)),
)
ROWS = {
    "small": Row("2 x [64, 64] tanh", Job(), CONTESTANTS),
    "article": Row("the article's [1024, 1024] ReLU", Job(**ARTICLE), CONTESTANTS),
}

if __name__ == "__main__":
    options, document = begin(__doc__, "minibatch", rounds=20)
    run_rows(ROWS, options, document | {"rows": {}})
