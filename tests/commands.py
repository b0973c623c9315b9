"""Run a command of ours as `python -m` would, inside the test's process."""

import pytest

from ppo_np.running import cli


def run(main, *arguments) -> int:
    """Exit code of a command's `main` with these arguments."""
    with pytest.raises(SystemExit) as stopped:
        cli.run(lambda: main([str(argument) for argument in arguments]))
    return stopped.value.code
