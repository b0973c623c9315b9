"""Train PPO: `python -m ppo_np.train`. Without arguments this is the article's run on LunarLander."""

import sys
from collections.abc import Sequence

from ppo_np.distributed import mpi
from ppo_np.distributed.lifeline import Lifeline
from ppo_np.distributed.ranks import NotSharedError, Ranks
from ppo_np.errors import UserError
from ppo_np.running import cli
from ppo_np.running.options import PROGRAM, TrainOptions, parse
from ppo_np.running.signals import STOPPING_ALL, StopSignals


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, train, and return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with StopSignals() as signals:
        lifeline = Lifeline.to_launcher()
        try:
            ranks = mpi.world()
        except UserError as error:
            if lifeline is None:
                raise
            code, text = cli.exit_code_and_message(error)
            lifeline.fail(text, code)
        if isinstance(ranks, mpi.MPIRanks):
            return _run_together(arguments, signals, ranks, lifeline or Lifeline.among(ranks))
        return _run(arguments, signals, ranks)


def _run(arguments: Sequence[str], signals: StopSignals, ranks: Ranks) -> int:
    options: TrainOptions = ranks.broadcast(lambda: parse(arguments))
    if options.list_presets:
        if ranks.rank == 0:
            print(cli.preset_list())
        return cli.DONE
    given = cli.partial_parser(PROGRAM, "--ranks").parse_known_args(arguments)[0].ranks is not None
    asked = options.ranks if given or ranks.size == 1 else ranks.size
    number = ranks.broadcast(lambda: mpi.wanted(asked, options.config.num_envs, ranks))
    if number > ranks.size:
        from ppo_np.running.launch import launch

        arguments = cli.with_chosen_preset(arguments, PROGRAM, options.preset, options.config)
        return launch(number, "ppo_np.train", arguments, signals)
    # Gymnasium and Numba take a second to import. Imported here, they do not delay --help and error messages.
    from ppo_np.running.run import train

    return train(options, signals, ranks)


def _run_together(arguments: Sequence[str], signals: StopSignals, ranks: mpi.MPIRanks, lifeline: Lifeline) -> int:
    """Run as one of several ranks. An error on one rank ends all of them, with one message."""
    lifeline.fail_after_signal()
    who = f"rank {ranks.rank}: "
    signals.message = STOPPING_ALL if ranks.rank == 0 else b""
    try:
        code = _run(arguments, signals, ranks)
    except NotSharedError as failure:
        code, text = cli.exit_code_and_message(failure.__cause__ or failure) if ranks.rank == 0 else (0, "")
        if text:
            print(text, file=sys.stderr)
        code = ranks.broadcast(lambda: code)
    except BaseException as error:
        user_mistake = ranks.rank == 0 and isinstance(error, UserError)  # does not belong to one rank
        code, text = cli.exit_code_and_message(error, "" if user_mistake else who)
        lifeline.fail(text, code)
    lifeline.leave()
    return code


if __name__ == "__main__":
    cli.run(main)
