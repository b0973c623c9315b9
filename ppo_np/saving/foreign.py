"""What a checkpoint file runs of the code that it names, said before it is run."""

import os
from os import PathLike
from pathlib import Path

from ppo_np.config import PPOConfig
from ppo_np.saving.files import CONFIG


def import_notice(path: str | PathLike, config: PPOConfig) -> str:
    """Which modules a checkpoint file imports to make its environment; empty if none, or if it is in a run folder.

    Args:
        path: of the file.
        config: its settings, without what the user has chosen instead.
    """
    if not config.env_modules or os.path.isfile(Path(path).parent / CONFIG):
        return ""
    return f"the environment of checkpoint {str(path)!r} imports {', '.join(config.env_modules)}."


def foreign_code(path: str | PathLike, config: PPOConfig) -> list[str]:
    """What a checkpoint file runs when its training goes on, a sentence each: as `import_notice`, and its schedules.

    Args:
        path: of the file. config: its settings.
    """
    files = [] if os.path.isfile(Path(path).parent / CONFIG) else config.schedule_files
    schedules = f"the schedules of checkpoint {str(path)!r} run {', '.join(files)}." if files else ""
    return [notice for notice in (import_notice(path, config), schedules) if notice]
