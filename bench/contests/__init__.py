"""Side by side runs, each a command that writes runs/bench/<name>.json, from which bench.report.ledger makes its page:

    pip install ".[peers]"
    python -m bench.contests.end_to_end --only a d --rounds 30
    python -m bench.contests.solve --add --seeds 1 2 3 --only sb3 cleanrl
    python -m bench.contests.limit --quick          # shows only whether everything works

The others are minibatch, where, blocks, scaling, start, ranks, pendulum and presets. They need an idle machine with two
cores; the pictures need matplotlib. Peers that are not installed are left out.
"""
