"""What the last info of an episode says under some keys, as numbers, in every form that vector environments give."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

FINAL_INFO = "final_info"


def number(value: object) -> float | None:
    """A real number, a bool, or an array with nothing else, as a float; None for everything else."""
    if isinstance(value, np.ndarray):
        value = value.item() if value.size == 1 else None
    try:
        return None if isinstance(value, str | bytes) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def numbers_of(info: object, keys: Sequence[str]) -> dict[str, float]:
    """The numbers that the info of one environment has under the keys; nothing else ends a run or is kept."""
    found = {key: number(info.get(key)) for key in keys} if isinstance(info, Mapping) else {}
    return {key: value for key, value in found.items() if value is not None}


def final_infos(infos: Any, keys: Sequence[str], dones: np.ndarray, next_step: bool) -> list[dict[str, float]]:
    """The numbers in the last infos of the episodes that ended in a step of N environments.

    Args:
        infos: as the vector environment gave them. In the mode NEXT_STEP, they are those of the step that ended the
            episode; in SAME_STEP, these are under "final_info". Gymnasium joins them as a dict of arrays with masks
            (`key` and `_key`); older libraries give a dict for each environment.
        keys: whose values are wanted.
        dones: (N,) bool, where an episode ended.
        next_step: whether the mode is NEXT_STEP.

    Returns:
        A dict for each of these episodes, in the order of the environments; a key without a number is missing.
    """
    ended = np.flatnonzero(dones).tolist()
    if not keys:
        return [{} for _ in ended]
    if not next_step and isinstance(infos, Mapping):
        infos = infos.get(FINAL_INFO, {})
    return [numbers_of(_of_one(infos, keys, n, len(dones)), keys) for n in ended]


def _of_one(infos: Any, keys: Sequence[str], n: int, envs: int) -> Any:
    """The info of environment `n`, of N = `envs`."""
    if isinstance(infos, Mapping):
        there = {key: infos.get(f"_{key}", np.ones(envs, bool)) for key in keys if key in infos}
        return {key: infos[key][n] for key, known in there.items() if np.shape(infos[key])[:1] == (envs,) and known[n]}
    if not isinstance(infos, list | tuple | np.ndarray) or len(infos) != envs:
        return None
    info = infos[n]
    return info.get(FINAL_INFO, info) if isinstance(info, Mapping) else None
