"""What a finished run has reached: result.json in its folder, written when the run and its evaluation are complete."""

import json
from pathlib import Path
from typing import Any

from ppo_np.errors import UserError
from ppo_np.logs.csv_file import number, read_rows
from ppo_np.logs.filenames import CHECKPOINT, METRICS
from ppo_np.saving.files import write_whole

RESULT = "result.json"
FIRST_SEED = 10_000  # episode i is played from this + i; training starts its environments from lower seeds
EPISODES = 100  # of training, in a running mean
TAIL = 100_000  # bytes at the end of metrics.csv that are enough for a running mean


def write_result(folder: Path, episodes: int) -> None:
    """Play greedy episodes with the last policy of a run that is done, and write its result.json.

    It holds steps, wall_time (seconds), training_return (mean of the last 100 episodes of training) with
    training_episodes, and greedy_return (mean) with greedy_episodes. A mean of no episodes is null; so is greedy_return
    if the policy cannot play single environments.

    Raises UserError if the checkpoint cannot be read, EnvironmentFault if an episode fails, and KeyboardInterrupt.
    """
    from ppo_np.evaluation.playback import evaluate  # slow imports: this module is also read by the sweep itself
    from ppo_np.saving.checkpoint import read_checkpoint

    saved = read_checkpoint(folder / CHECKPOINT)
    returns = saved.recent_episodes[:, 0]
    greedy = None
    if episodes:
        try:
            report = evaluate(folder / CHECKPOINT, episodes, FIRST_SEED)
        except UserError as error:
            print(f"warning: no greedy episodes: {error}")
        else:
            if report["episodes"] < episodes:
                raise KeyboardInterrupt
            greedy = report["mean_return"]
    result = {
        "steps": saved.counters["global_step"], "wall_time": saved.wall_time,
        "training_return": float(returns.mean()) if len(returns) else None, "training_episodes": len(returns),
        "greedy_return": greedy, "greedy_episodes": episodes,
    }  # fmt: skip
    write_whole(folder / RESULT, (json.dumps(result, indent=2) + "\n").encode())


def read_result(folder: Path, episodes: int) -> dict[str, Any] | None:
    """The result of a run; None if it is not finished, or if it has played another number of greedy episodes."""
    try:
        result = json.loads((folder / RESULT).read_bytes())
    except (OSError, ValueError):
        return None
    return result if isinstance(result, dict) and result.get("greedy_episodes") == episodes else None


def score(result: dict[str, Any]) -> float | None:
    """What a run is judged by: its greedy return, or its training return if there is none; None if no episode ended."""
    greedy = result["greedy_return"]
    return result["training_return"] if greedy is None else greedy


def running_mean(rows: list[dict[str, str]]) -> float | None:
    """Mean return of the last 100 episodes in rows of metrics.csv, whole rows; None if no episode has ended."""
    total, count = 0.0, 0
    for row in reversed(rows):
        if episodes := int(number(row, "episodes") or 0):
            total, count = total + episodes * number(row, "episodic_return"), count + episodes
        if count >= EPISODES:
            break
    return total / count if count else None


def rows_of(folder: Path, all_rows: bool = False) -> list[dict[str, str]]:
    """The rows of metrics.csv, by default those in the last 100 kB; none if it does not exist or cannot be read now."""
    try:
        return read_rows(folder / METRICS, 0 if all_rows else TAIL)
    except OSError:
        return []
