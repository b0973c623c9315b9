"""Steps a second in training, ours and the peers', side by side: row by row, each with the same work for all.

Each contestant runs in a process of its own, with the better of 1 and 2 threads (chosen by trials). All are alive
together and take turns in slices of less than a second; see turns.py. A step is one transition of one environment;
reset rows are none. The first update, in which some compile, is left out. It also draws a bar chart.

In row l each has a Pendulum of its own. RLtools' is C++ in float32 and takes torques of [-1, 1]; ours is compiled by
Numba, in float64 as Gymnasium's. RLtools clips neither the gradient nor the value loss, its learning rate stays, and it
begins with a standard deviation of 0.5, ours with 1. Networks, batch, minibatches and epochs are the same. Row m is
row d with our compiled CartPole instead of Gymnasium's vector environment; row k is bench/contests/pendulum.py.
"""

import dataclasses
import json
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from bench.contests.contest import Contestant, Result, begin, show, versions_of, write
from bench.contests.turns import Pace, compete
from bench.machine import name_of
from bench.peers.protocol import Job
from bench.report.charts import bars
from bench.report.sections import row_table

OURS = Contestant("ppo_np", "bench.peers.ours")
CLEANRL = Contestant("CleanRL-style loop", "bench.peers.cleanrl")
SB3 = Contestant("Stable-Baselines3", "bench.peers.sb3")
SBX = Contestant("sbx", "bench.peers.sbx")
REJAX = Contestant("rejax", "bench.peers.rejax")
ALONE = Contestant("environment alone", "bench.peers.alone", threads=(1,))
RANKS = Contestant("ppo_np, 2 ranks", "bench.peers.ours_on_ranks", threads=(1,), ranks=2)
ONE = Contestant("ppo_np, 1 thread", "bench.peers.ours", threads=(1,))
TWO = Contestant("ppo_np, 2 threads", "bench.peers.ours", threads=(2,))
RLTOOLS = Contestant("RLtools, MKL", "bench.peers.rltools", threads=(1,))
RLTOOLS_ALONE = Contestant("RLtools, without MKL", "bench.peers.rltools", "train_without_mkl", threads=(1,))


class Row(NamedTuple):
    """One comparison: what is done, and who does it."""

    title: str
    job: Job
    contestants: tuple[Contestant, ...]


ARTICLE = {"shared_sizes": (1024, 1024), "policy_sizes": (), "value_sizes": (), "activation": "relu"}
CARTPOLE = Job(env_id="CartPole-v1", vectorization="vector", num_envs=256)
COMPILED = dataclasses.replace(CARTPOLE, vectorization="compiled")
PENDULUM = Job(env_id="Pendulum-v1", vectorization="compiled", num_envs=64, num_steps=64, num_minibatches=8)
ENVPOOL = Job(vectorization="envpool", num_envs=64, num_env_threads=2)
SMALL, LARGE = "2 x [64, 64] tanh", "the article's [1024, 1024] ReLU"
ALL = (OURS, CLEANRL, SB3, SBX, ALONE)
ROWS = {
    "a": Row(f"LunarLander-v3, {SMALL}, 4 environments x 128", Job(), ALL),
    "b": Row(f"LunarLander-v3, {SMALL}, 16 environments x 128", Job(num_envs=16), ALL),
    "c": Row(f"LunarLander-v3, {LARGE}, 4 environments x 128", Job(**ARTICLE), (OURS, CLEANRL, ALONE)),
    "d": Row(
        f"CartPole-v1, native vector environment, {SMALL}, 256 environments x 128", CARTPOLE,
        (OURS, REJAX, CLEANRL, ALONE),
    ),
    "e": Row(f"LunarLander-v3, EnvPool on 2 threads, {SMALL}, 64 environments x 128", ENVPOOL, (OURS, CLEANRL, ALONE)),
    "l": Row(
        f"Pendulum-v1, compiled, {SMALL}, 64 environments x 64, minibatches of 512", PENDULUM,
        (ONE, TWO, RLTOOLS, RLTOOLS_ALONE, ALONE),
    ),
    "m": Row("As d; ours with the compiled CartPole", COMPILED, (OURS, REJAX, ALONE)),
}  # fmt: skip
# Which row they are like; ours runs on two ranks there, in a and b beside itself on one thread.
ON_RANKS = dict(zip("fghijn", "abcdem", strict=True))
for _name, _like in ON_RANKS.items():
    _ours = (RANKS, ONE) if _like in "ab" else (RANKS,)
    ROWS[_name] = Row(f"As {_like}; ours on 2 ranks of MPI", ROWS[_like].job, _ours + ROWS[_like].contestants[1:])


def run_rows(rows: Mapping[str, Row], options: Namespace, document: Result) -> None:
    """Let the contestants of each row take turns; print its table, and write the JSON file after each."""
    rounds = {"rounds": 2, "seconds": 0.2} if options.quick else {"rounds": options.rounds}
    for name, row in rows.items():
        results = compete(row.contestants, row.job, Pace(**rounds, timeout=options.timeout))
        about = {"title": row.title, "job": dataclasses.asdict(row.job), "commit": document["commit"]}
        document["rows"][name] = about | {"machine": name_of(document), "results": results}
        document["versions"] |= versions_of(results)
        write(options.out, document)
        show(row_table(name, document["rows"][name]))


ADD = {"action": "store_true", "help": "keep the file's other rows"}


def only(rows: Sequence[str]) -> Result:
    """The option that chooses among rows."""
    rows = list(rows)
    return {"nargs": "+", "choices": rows, "default": rows, "metavar": "ROW", "help": f"of {', '.join(rows)}"}


def measure_rows(
    text: str | None, name: str, key: str, rows: str, measure: Callable[[Job, int, float], Result],
    table: Callable[[Result], Sequence[str]],
) -> None:  # fmt: skip
    """The command of a contest that measures rows one by one, in rounds; it writes the JSON file after each."""
    options, document = begin(text, name, rounds=15, add=ADD, only=only(rows))
    rounds, seconds = (2, 0.2) if options.quick else (options.rounds, 0.7)
    document[key] = json.loads(options.out.read_text())[key] if options.add else {}
    for row in options.only:
        document[key][row] = measure(ROWS[row].job, rounds, seconds) | {"machine": name_of(document)}
        document[key] = dict(sorted(document[key].items()))
        write(options.out, document)
    show(table(document))


def main() -> None:
    """Run the rows and draw the chart."""
    options, document = begin(__doc__, "end_to_end", rounds=20, add=ADD, only=only(sorted(ROWS)))
    document |= {"rows": {}}
    if options.add:
        before = json.loads(options.out.read_text())
        document |= {"rows": before["rows"], "versions": before["versions"]}
    run_rows({name: ROWS[name] for name in options.only}, options, document)
    document["rows"] = dict(sorted(document["rows"].items()))
    write(options.out, document)
    bars(document["rows"], options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
