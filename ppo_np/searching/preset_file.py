"""Settings as a preset: a TOML file for --preset FILE.toml."""

import json
import math
from pathlib import Path
from typing import Any

from ppo_np.config import PPOConfig
from ppo_np.saving.files import write_whole


def preset_text(config: PPOConfig, about: str) -> str:
    """The settings that differ from the article's, which `PPOConfig.preset` reads; `about` is the comment in line 1."""
    default, values = PPOConfig().to_dict(), config.to_dict()
    lines = [f"{name} = {_toml(value)}" for name, value in values.items() if value != default[name]]
    return "\n".join([f"# {about}", *lines, ""])


def write_preset(path: Path, config: PPOConfig, about: str) -> None:
    """Write the settings as a preset. Raises OSError."""
    write_whole(path, preset_text(config, about).encode())


def _toml(value: Any) -> str:
    """A value of `PPOConfig.to_dict` in TOML, in which strings, numbers and lists look as in JSON."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, float) and math.isinf(value):
        return "inf"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
