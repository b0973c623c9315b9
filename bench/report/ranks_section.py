"""The part of the ledger that is about ranks: measured, foreseen, and what more of them would cost."""

from bench.contests.cost_model import beside
from bench.report.tables import ends, number, table
from bench.report.target_kinds import Result

INTRODUCTION = """\
Whole runs on ranks of MPI on this machine, {num_envs} environments of LunarLander-v3 x {num_steps}, 2 x [64, 64] tanh,
{num_minibatches} minibatches, {update_epochs} epochs, one thread each, taking turns, \
update for update, each time after some
that are not timed (a core that was idle is slower at first); and what the model of
[cost_model.py](../bench/contests/cost_model.py) foresees from the pieces below, each measured by itself, if one rank
foresees itself (the factor is {pace}). [scale-out.md](scale-out.md) says how the work is shared.
"""
OUTLOOK = """\
What the model says of more hosts, with one rank each that has as much to do as one has alone (so minibatches grow
with the ranks). Nothing here was measured but the pieces of one rank. The networks are assumed: {networks}.
Efficiency is the time of one rank alone over the time of all. A sum takes as long as learning does with "rows enough"
of a minibatch in each rank; with fewer, take larger minibatches, or fewer epochs.
"""
TCP = """\
The formula for a network, tried on one: two ranks that talk by TCP through this machine's loopback
(MPIR_CVAR_NOLOCAL=1, UCX_TLS=tcp; delays could not be added here, the kernel has no netem). From messages to and fro:
alpha {alpha} us, {bandwidth} GB/s. Foreseen for two ranks is the better of one exchange of everything (alpha + n /
bandwidth) and of halving and doubling (2 alpha + n / bandwidth). What is measured also adds up, and both directions
share the two cores that compute, which cards of a network do not: take the formula for the least that a sum costs.
"""
PIECES = {  # what it is: where the document has it
    "a rollout": ("alone", "rollout"),
    "its standard deviation": ("alone", "deviation"),
    "an update of one process, by minibatch": ("alone", "minibatch"),
    "dealing, once an update": ("together", "deal"),
    "what is told once an update": ("together", "update"),
}
SUMS = {"sums": "", "allreduces": ", by messages"}
TWO_CORES = (
    "Rollouts of two processes that have nothing to do with each other, each with half the environments, are "
    "{times:.2f} times ({quartiles}) as quick together as one process with all: so much two cores are worth here."
)
ABOUT_PIECES = (
    "Pieces; with more ranks than cores, those of a rank alone count as often as ranks share a core. While the "
    "other core is busy as well, they take {beside:.2f} times as long (by the two processes above):"
)


def microseconds(seconds: float | None) -> str:
    """As text; nothing for None."""
    return "" if seconds is None else number(1e6 * seconds)


def ranks_section(document: Result) -> list[str]:
    """Lines of Markdown."""
    job, two = document["job"], document["two_cores"]
    rows = []
    for size, one in document["here"].items():
        times = f"{one['ratio']['median']:.2f} ({ends(one['ratio'])})"
        rows.append([size, number(one["median"]), ends(one), times, number(one["foreseen"]), f"{one['off']:+.0%}"])
    heading = ("ranks", "steps/s", "quartiles", "times one rank's", "foreseen", "off by")
    introduction = INTRODUCTION.format(**job, pace=f"{document['pace']:.2f}")
    limit = TWO_CORES.format(times=two["median"], quartiles=ends(two))
    here = ["## Ranks", "", introduction, *table(heading, rows, words=()), limit, "", *_pieces(document)]
    return [*here, *_tcp(document["tcp"]), *_outlook(document)]


def _pieces(document: Result) -> list[str]:
    """A column a number of ranks."""
    sizes, together = list(document["here"]), document["together"]
    found = {"alone": document["alone"]["runs"], "together": together}
    rows = [
        [what, *(microseconds(found[where].get(ranks, {}).get(key)) for ranks in sizes)]
        for what, (where, key) in PIECES.items()
    ]
    for kind, what in SUMS.items():
        for bytes_ in next(iter(together.values()))[kind]:
            cells = [microseconds(together.get(ranks, {}).get(kind, {}).get(bytes_)) for ranks in sizes]
            mark = " (this gradient)" if bytes_ == str(document["gradient_bytes"]) else ""
            rows.append([f"a sum of {int(bytes_):,} bytes{mark}{what}", *cells])
    heading = ("microseconds of a rank", *(f"{ranks} rank{'s'[: ranks != '1']}" for ranks in sizes))
    return [ABOUT_PIECES.format(beside=beside(document)), "", *table(heading, rows)]


def _tcp(found: Result) -> list[str]:
    text = TCP.format(alpha=number(1e6 * found["alpha"]), bandwidth=number(found["bandwidth"] / 1e9))
    rows = [
        [f"{one['bytes']:,}", *(microseconds(one[key]) for key in ("foreseen", "measured"))] for one in found["rows"]
    ]
    return [text, *table(("bytes of a sum", "foreseen, us", "measured, us"), rows, words=())]


def _outlook(document: Result) -> list[str]:
    networks = "; ".join(
        f"{one['name']} with alpha {number(1e6 * one['alpha'])} us and {number(one['bandwidth'] / 1e9)} GB/s"
        for one in document["networks"]
    )
    works = ". ".join(
        f"{work['name']}: {work['rows']:,} rows of a rank in a minibatch take {microseconds(work['minibatch'])} us"
        for work in document["works"]
    )
    rows = []
    for one in document["outlook"]:
        figures = str(one["ranks"]), f"{one['efficiency']:.0%}", microseconds(one["sum"]), f"{one['enough_rows']:,}"
        rows.append([one["work"], one["network"], *figures])
    heading = ("work of a rank", "network", "hosts", "efficiency", "a sum, us", "rows enough")
    return [OUTLOOK.format(networks=networks), f"{works}.", "", *table(heading, rows, words=(0, 1))]
