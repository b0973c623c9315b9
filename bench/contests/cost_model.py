"""What an update on R ranks costs, from measured pieces; and on machines that were not measured, from two numbers.

    update  = rollout + deal + E M (minibatch + sum) + once
    rollout = w (mean + x_R deviation)    the slowest of R ranks, each with N / R environments
    minibatch = w g(B / R)                an update by one process with B / R rows in each minibatch, over E M
    sum(n, R) = 2 ceil(log2 R) alpha + 2 (R - 1) / R n / bandwidth      n bytes, in a network

T, N, M, E: steps, environments, minibatches, epochs. w = max(1, ranks / cores) on a host, times what it costs that the
other cores work as well. x_R is the mean of the largest of R normal numbers. The sum is that of recursive halving and
doubling (Thakur, Rabenseifner and Gropp 2005); on the machine itself it is measured.
"""

import math
from collections.abc import Mapping
from typing import Any

from scipy.stats import norm

Pieces = Mapping[str, Any]
# Between hosts: seconds that a message takes at least, and bytes a second. Assumed, not measured.
NETWORKS = (
    {"name": "10 Gbit/s, TCP", "alpha": 30e-6, "bandwidth": 10e9 / 8 * 0.9},
    {"name": "100 Gbit/s, RDMA", "alpha": 3e-6, "bandwidth": 100e9 / 8 * 0.9},
)


def largest_of(ranks: int) -> float:
    """The mean of the largest of R normal numbers, in standard deviations (Blom 1958)."""
    return float(norm.ppf((ranks - 0.375) / (ranks + 0.25))) if ranks > 1 else 0.0


def beside(pieces: Pieces) -> float:
    """How much longer a process takes while another one works beside it, by the rollouts of both."""
    runs = pieces["alone"]["runs"]
    return max(1.0, runs["1"]["rollout"] / runs["2"]["rollout"] / pieces["two_cores"]["median"])


def update_here(pieces: Pieces, ranks: int) -> float:
    """Seconds of one update on so many ranks of this machine."""
    job, run = pieces["job"], pieces["alone"]["runs"][str(ranks)]
    busy = max(1.0, ranks / pieces["cores"]) * (beside(pieces) if ranks > 1 else 1.0)
    minibatches = job["update_epochs"] * job["num_minibatches"]
    seconds = busy * (run["rollout"] + largest_of(ranks) * run["deviation"] + minibatches * run["minibatch"])
    if ranks > 1:
        together = pieces["together"][str(ranks)]
        sums = minibatches * together["sums"][str(pieces["gradient_bytes"])]
        seconds += together["deal"] + together["update"] + sums
    return seconds


def sum_in(network: Pieces, size: int, ranks: int) -> float:
    """Seconds of a sum of so many bytes over so many hosts, one rank each."""
    return 2 * math.ceil(math.log2(ranks)) * network["alpha"] + 2 * (ranks - 1) / ranks * size / network["bandwidth"]


def scaled(work: Pieces, network: Pieces, ranks: int) -> dict[str, float]:
    """An update on R hosts with a rank each, every one with as much to do as one has alone: minibatches grow with R.

    Args:
        work: what one rank does by itself; see `work_of` in ranks.py.
        network: between the hosts.
        ranks: R.

    Returns:
        seconds, efficiency (the seconds of one rank alone over them), sum (seconds of one), enough_rows: of a
        minibatch, a rank, with which the sums take no longer than the learning.
    """
    one = sum_in(network, work["gradient_bytes"], ranks)
    calls = work["epochs"] * work["minibatches"]
    rows = work["epochs"] * ranks * work["transitions"]
    deal = rows * work["deal_per_row"] + 2 * sum_in(network, 8 * calls, ranks)
    rollout = work["rollout"] + largest_of(ranks) * work["deviation"]
    seconds = rollout + calls * (work["minibatch"] + one) + deal
    alone = work["rollout"] + calls * work["minibatch"]
    enough = max(0.0, one - work["fixed"]) / (work["minibatch"] - work["fixed"]) * work["rows"]
    return {"seconds": seconds, "efficiency": alone / seconds, "sum": one, "enough_rows": math.ceil(enough)}
