"""Steps a second in training, ours and the peers', side by side: ten rows, each with the same work for all.

Each contestant runs in a process of its own, with the better of 1 and 2 threads (chosen by trials). All are alive
together and take turns in slices of less than a second; see turns.py. A step is one transition of one environment;
reset rows are none. The first update, in which some compile, is left out. It also draws a bar chart.
"""

import dataclasses
import json
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.contests.contest import Contestant, Result, commands_before, new_document, parser, show, versions_of, write
from bench.contests.turns import Pace, compete
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


@dataclass(frozen=True)
class Row:
    """One comparison: what is done, and who does it."""

    title: str
    job: Job
    contestants: tuple[Contestant, ...]


ARTICLE = {"shared_sizes": (1024, 1024), "policy_sizes": (), "value_sizes": (), "activation": "relu"}
ROWS = {
    "a": Row(
        "LunarLander-v3, 2 x [64, 64] tanh, 4 environments x 128",
        Job(),
        (OURS, CLEANRL, SB3, SBX, ALONE),
    ),
    "b": Row(
        "LunarLander-v3, 2 x [64, 64] tanh, 16 environments x 128",
        Job(num_envs=16),
        (OURS, CLEANRL, SB3, SBX, ALONE),
    ),
    "c": Row(
        "LunarLander-v3, the article's [1024, 1024] ReLU, 4 environments x 128",
        Job(**ARTICLE),
        (OURS, CLEANRL, ALONE),
    ),
    "d": Row(
        "CartPole-v1, native vector environment, 2 x [64, 64] tanh, 256 environments x 128",
        Job(env_id="CartPole-v1", vectorization="vector", num_envs=256),
        (OURS, REJAX, CLEANRL, ALONE),
    ),
    "e": Row(
        "LunarLander-v3, EnvPool on 2 threads, 2 x [64, 64] tanh, 64 environments x 128",
        Job(vectorization="envpool", num_envs=64, num_env_threads=2),
        (OURS, CLEANRL, ALONE),
    ),
}
ON_RANKS = {
    "f": ("a", (ONE, CLEANRL, SB3, SBX, ALONE)),
    "g": ("b", (ONE, CLEANRL, SB3, SBX, ALONE)),
    "h": ("c", (CLEANRL, ALONE)),
    "i": ("d", (REJAX, CLEANRL, ALONE)),
    "j": ("e", (CLEANRL, ALONE)),
}
for _name, (_like, _others) in ON_RANKS.items():
    ROWS[_name] = Row(f"As {_like}; ours on 2 ranks of MPI", ROWS[_like].job, (RANKS, *_others))


def added_to(before: Result, document: Result) -> Result:
    """The document with the rows that were there before, of the commit that they were measured at."""
    rows = {name: {"commit": before["commit"]} | row for name, row in before["rows"].items()}
    return document | {"rows": rows, "versions": before.get("versions", {}), "before": commands_before(before)}


def run_rows(rows: Mapping[str, Row], options: Namespace, document: Result) -> None:
    """Let the contestants of each row take turns; print its table, and write the JSON file after each."""
    rounds = {"rounds": 2, "seconds": 0.2} if options.quick else {"rounds": options.rounds}
    for name, row in rows.items():
        results = compete(row.contestants, row.job, Pace(**rounds, timeout=options.timeout))
        about = {"title": row.title, "job": dataclasses.asdict(row.job), "commit": document["commit"]}
        document["rows"][name] = about | {"results": results}
        document["versions"] |= versions_of(results)
        write(options.out, document)
        show(row_table(name, document["rows"][name]))


def measure_rows(
    text: str | None, name: str, key: str, rows: str, measure: Callable[[Job, int, float], Result],
    table: Callable[[Result], Sequence[str]],
) -> None:  # fmt: skip
    """The command of a contest that measures rows one by one, in rounds; it writes the JSON file after each."""
    options = parser(text, name, rounds=15).parse_args()
    rounds, seconds = (2, 0.2) if options.quick else (options.rounds, 0.7)
    document = new_document(name, options) | {key: {}}
    for row in rows:
        document[key][row] = measure(ROWS[row].job, rounds, seconds)
        write(options.out, document)
    show(table(document))


def main() -> None:
    """Run the rows and draw the chart."""
    options = parser(__doc__, "end_to_end", rounds=20)
    options.add_argument("--add", action="store_true", help="keep the file's other rows")
    options.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help="of a to j")
    options = options.parse_args()
    document = new_document("end_to_end", options) | {"rows": {}}
    if options.add:
        document = added_to(json.loads(options.out.read_text()), document)
    run_rows({name: ROWS[name] for name in options.only}, options, document)
    document["rows"] = dict(sorted(document["rows"].items()))
    write(options.out, document)
    bars(document["rows"], options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
