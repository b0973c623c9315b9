"""Bugs that can be planted into a run, to see that the harness finds them."""

from ppo_np.saving import checkpoint, files


def minibatch_rng():
    """A resumed run shuffles with a generator that starts anew."""
    from ppo_np.learning import on_policy

    restore = on_policy.restore

    def forgetful(state, *arguments):
        generator = state.rngs["minibatch_rng"].bit_generator
        before = generator.state
        restore(state, *arguments)
        generator.state = before

    on_policy.restore = forgetful


def environments():
    """A resumed run resets its environments instead of bringing them back, and does not tell."""
    from ppo_np.learning import on_policy

    def reset(stream, policy, state, saved, *_):
        stream.reset(saved.config.seed)
        return []

    on_policy.restore_environments = reset


def in_place():
    """A checkpoint is written into the file that has its name already."""

    def write(path, data, verify=None, previous=None):
        descriptor = files.os.open(path, files.os.O_WRONLY | files.os.O_CREAT | files.os.O_TRUNC, 0o644)
        files.os.write(descriptor, data)
        files.os.fsync(descriptor)
        files.os.close(descriptor)

    checkpoint.write_whole = write


def rows():
    """A resumed run leaves rows in metrics.csv of updates that it will do again."""
    from ppo_np.logs import run_logs

    logger = run_logs.CSVLogger
    run_logs.CSVLogger = lambda path, columns, last_update: logger(path, columns, 10**9)


ALL = {bug.__name__: bug for bug in (minibatch_rng, environments, in_place, rows)}
