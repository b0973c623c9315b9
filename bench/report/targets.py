"""The targets of speed."""

from functools import partial

from bench.report.target_kinds import (
    ENVPOOL,
    FASTER,
    ONE,
    OURS,
    RANKS,
    RLTOOLS,
    TWO,
    absolute,
    alone,
    either,
    faster,
    preset,
    ratio_at,
    smaller,
    solved,
    sooner,
    start,
    trained,
)  # fmt: skip

CLEANRL, SB3, SBX, REJAX = "CleanRL-style loop", "Stable-Baselines3", "sbx", "rejax"
ALONE, TORCH, JAX = "environment alone", "torch, eager", "jax.jit, one thread"
MINIBATCH = "time of one minibatch, {}'s / ours"

on_ranks = partial(faster, ours=RANKS)
TO_LIMIT = "speed, ours / the limit: bare BLAS, bare environment, bare memory"
OF_RANKS = "steps/s of row b's work, 2 ranks / one rank with one thread, update for update"
NATIVE_OR_COMPILED = "{}, CartPole native (this row) or compiled (row {}), the quicker one"
TARGETS = (
    *(faster("a", peer, limit) for peer, limit in {CLEANRL: 5, SB3: 6, SBX: 6, ALONE: 0.93}.items()),
    faster("b", ALONE, 0.95),
    faster("c", CLEANRL, 2),
    smaller("c", CLEANRL, 0.60),
    ratio_at("c-limit", TO_LIMIT, 0.88, "limit", "limits", "c", "share"),
    either(NATIVE_OR_COMPILED.format(FASTER.format(REJAX), "m"), *(faster(row, REJAX, 2.5) for row in "dm")),
    either(
        NATIVE_OR_COMPILED.format(TO_LIMIT, "m"),
        *(ratio_at(f"{row}-limit", TO_LIMIT, 0.75, "limit", "limits", row, "share") for row in "dm"),
    ),
    absolute("e", 55_000),
    faster("e", ALONE, 0.6),
    faster("small", TORCH, 12, MINIBATCH),
    faster("small", JAX, 2, MINIBATCH),
    faster("article", TORCH, 2, MINIBATCH),
    start("warm", "seconds from the start of `python -m ppo_np.train` to its first update, kernels cached", 2.5),
    start("cold", "the same with an empty cache", 25),
    start("compiled-cold", "the same with an empty cache, two [64, 64] on a compiled environment", 20),
    start("import", "seconds of `import ppo_np`, without any environment library", 0.8),
    solved(OURS, "sync", 40),
    solved(ENVPOOL, "envpool", 20),
    *(on_ranks("f", peer, limit) for peer, limit in {CLEANRL: 5, SB3: 6, SBX: 6, ALONE: 0.90}.items()),
    on_ranks("g", ALONE, 0.93),
    on_ranks("h", CLEANRL, 2),
    either(NATIVE_OR_COMPILED.format(FASTER.format(REJAX), "n"), *(on_ranks(row, REJAX, 2.5) for row in "in")),
    absolute("j", 55_000, RANKS),
    on_ranks("j", ALONE, 0.6),
    ratio_at("ranks-2", OF_RANKS, 1.8, "ranks", "here", "2", "ratio"),
    sooner(RANKS, OURS, 0.6),
    trained(ONE, "one", 1.0),
    trained(TWO, "two", 0.65),
    faster("l", RLTOOLS, 1.1, ours=ONE),
    preset("pendulum", 10, 2.5),
    preset("cartpole", 10, 2.5),
    preset("lunarlander", 20, 8),
    preset("lunarlander", 20, 16, worst=True),
    alone("Pendulum-v1", 20_000_000),
)
