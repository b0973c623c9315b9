"""A folder that can be uploaded to the Hugging Face hub: a model card (README.md), the policy, its settings, a film.

Nothing is uploaded here. The front matter is what the hub reads
(https://huggingface.co/docs/hub/model-cards-components, "model-index"); it is written as YAML in which every text is a
JSON string, which YAML reads as well, so no library is needed.
"""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ppo_np.errors import UserError, check
from ppo_np.logs.filenames import BEST, CHECKPOINT, CONFIG, METRICS
from ppo_np.reporting.command_lines import obstacles, train_command
from ppo_np.reporting.films import newest_film
from ppo_np.reporting.groups import Run, as_text, changed_settings
from ppo_np.saving.files import write_whole

README, FILM = "README.md", "replay"  # names that the hub knows
LIBRARY = "library_name: ppo_np"
TASK = "reinforcement-learning"


def policy_file(run: Path) -> Path:
    """The best policy of a run folder, or else its last one. Raises UserError if it has none."""
    found = next((path for path in (run / BEST, run / CHECKPOINT) if path.is_file()), None)
    if found is None:
        raise UserError(f"RUN is {str(run)!r}, but it must be a run folder with a {CHECKPOINT}.")
    return found


def check_target(out: Path) -> None:
    """Raise UserError if a card in this folder would overwrite something that is not an earlier card."""
    check(not out.exists() or out.is_dir(), "out", str(out), "a folder")
    check(not (out / METRICS).exists(), "out", str(out), "another folder than that of a run")
    readme = out / README
    ours = not readme.exists() or LIBRARY in readme.read_text("utf-8", "replace").splitlines()[:3]
    check(ours, "out", str(out), f"a folder without a {README} that is not a card of ppo_np")


def make_folder(out: Path) -> None:
    """Make the folder of a card. Raises UserError if that fails."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"out is {str(out)!r}, but that folder cannot be made: {error.strerror}.") from error


def write_card(run: Run, policy: Path, env_id: str, report: dict[str, Any], out: Path) -> list[Path]:
    """Write README.md, the policy, config.json and the film into a folder. Returns the files.

    Args:
        run, policy: the run, and the checkpoint file in it that was evaluated.
        env_id: the environment in which it was evaluated.
        report: of `evaluation.playback.evaluate`; its `video`, if there is one, is in the folder already.
        out: the folder, which exists.

    Raises UserError if a file cannot be read or written.
    """
    film = Path(report["video"]) if report["video"] else None
    try:
        if film is None and (newest := newest_film(run.folder)):
            film = out / f"{FILM}{newest.suffix}"
            write_whole(film, newest.read_bytes())
        write_whole(out / CHECKPOINT, policy.read_bytes())
        write_whole(out / CONFIG, (run.folder / CONFIG).read_bytes())
        write_whole(out / README, readme(run, policy.name, env_id, report, film).encode())
    except OSError as error:
        raise UserError(f"out is {str(out)!r}, but it cannot be written: {error.strerror or error}.") from error
    return [out / README, out / CHECKPOINT, out / CONFIG, *([film] if film else [])]


def mean_reward(report: dict[str, Any]) -> str:
    """The metric of the hub: mean and standard deviation of the returns, "247.21 +/- 16.53"."""
    return f"{report['mean_return']:.2f} +/- {report['std_return']:.2f}"


def front_matter(env_id: str, value: str) -> str:
    """The YAML between the two lines of dashes, for an environment and a `mean_reward`."""
    env, text = json.dumps(env_id, ensure_ascii=False), json.dumps(value)
    tags = "".join(f"- {tag}\n" for tag in (env, "ppo", "deep-reinforcement-learning", TASK, "ppo_np"))
    return (
        f"---\n{LIBRARY}\ntags:\n{tags}model-index:\n- name: PPO\n  results:\n"
        f"  - task:\n      type: {TASK}\n      name: {TASK}\n"
        f"    dataset:\n      name: {env}\n      type: {env}\n"
        f"    metrics:\n    - type: mean_reward\n      value: {text}\n      name: mean_reward\n"
        "      verified: false\n---\n"
    )


def readme(run: Run, policy: str, env_id: str, report: dict[str, Any], film: Path | None) -> str:
    """The model card: front matter, result, settings, and the commands.

    Args:
        run, policy: the run, and the name of the policy's file in it.
        env_id, report: the environment in which the policy was evaluated, and the report about that.
        film: its file; None if there is none.
    """
    return front_matter(env_id, mean_reward(report)) + "\n".join(_text(run, env_id, policy, report, film)) + "\n"


def _text(run: Run, env_id: str, policy: str, report: dict[str, Any], film: Path | None) -> Iterator[str]:
    """The lines of the card below the front matter."""
    which = "the one with the best evaluation during training" if policy == BEST else "that of the last update"
    yield f"\n# PPO on {env_id}\n"
    yield f"A policy of ppo_np, from a run of {run.steps:,} steps with seed {run.config['seed']}:"
    yield f"{which}."
    yield "ppo_np is PPO in NumPy and Numba, with every gradient written by hand.\n"
    if film:
        yield f"[A film of an episode]({film.name})\n"
    yield "## Result\n"
    yield f"Undiscounted returns of {report['episodes']} greedy episodes:\n"
    yield "| | return |\n|---|---:|"
    yield f"| mean +/- standard deviation | {mean_reward(report)} |"
    yield f"| lowest | {report['min_return']:.2f} |"
    yield f"| highest | {report['max_return']:.2f} |\n"
    limit = report["max_episode_steps"]
    yield f"The mean length is {report['mean_length']:.1f} steps; an episode is cut off after {limit:,} steps.\n"
    yield "## Use\n"
    yield f"`{CHECKPOINT}` is an HDF5 file; nothing in it is executed when it is read. In the folder of this card:\n"
    yield "```sh\npython -m ppo_np.evaluate . --episodes 100\n```\n"
    yield '```python\nimport ppo_np\n\npolicy = ppo_np.load_policy(".")\naction = policy.predict(observation)\n```\n'
    yield "## Training\n"
    yield f"```sh\n{train_command(run)}\n```\n"
    yield from (f"{note}\n" for note in obstacles(run))
    changed = changed_settings([run])
    yield f"The settings are those of the preset {run.preset}{', but for these:' if changed else '.'}\n"
    if changed:
        yield "| setting | here | preset |\n|---|---|---|"
        yield from (f"| {k} | {_cell(run.config[k])} | {_cell(run.usual.get(k))} |" for k in changed)
        yield ""
    yield f"[{CONFIG}]({CONFIG}) has all settings and the versions of the libraries."


def _cell(value: object) -> str:
    return as_text(value).replace("|", "\\|")


def local_paths(run: Run) -> list[str]:
    """What config.json, which a card publishes, says of the files of this machine: absolute paths in it."""

    def texts(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for one in value.values():
                yield from texts(one)
        elif isinstance(value, list):
            for one in value:
                yield from texts(one)
        elif isinstance(value, str):
            yield value

    return list(dict.fromkeys(text for text in texts(run.document) if Path(text.split(":")[0]).is_absolute()))


def upload_command(out: Path) -> str:
    """The command with which a user uploads the folder."""
    return f"hf upload USER/NAME {shlex.quote(str(out))}"
