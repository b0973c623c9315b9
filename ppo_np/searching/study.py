"""The trials of a search, in an SQLite file of Optuna's, so that they outlive a kill and `optuna-dashboard` shows them.

A trial that was interrupted goes on in the same run folders: it is marked as failed, and a new trial is enqueued that
has its values and its folder. A trial that has really failed has the attribute "error".
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

DATABASE, NAME = "study.db", "ppo_np"
FOLDER, VALUES, ERROR, SECONDS = "folder", "values", "error", "seconds"  # attributes
RUNGS = 10  # a running trial is compared with the others after each tenth of its steps
FREE_TRIALS, FREE_RUNGS = 5, 2  # no pruning in the first trials, and in the first rungs of a trial


def url_of(folder: Path) -> str:
    """The address of the database in a folder, for Optuna and `optuna-dashboard`."""
    return f"sqlite:///{folder / DATABASE}"


def open_study(folder: Path, first: dict[str, Any], seed: int) -> "Study":
    """The study in a folder. In a new one the values `first` are enqueued as trial 0.

    Trials that were running when their process ended are enqueued again. The sampler's seed is `seed` + the number of
    trials, so that a search that goes on does not propose again what it has proposed at its beginning.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(FREE_TRIALS, FREE_RUNGS + 1)
    study = optuna.create_study(
        storage=url_of(folder), study_name=NAME, direction="maximize", load_if_exists=True, pruner=pruner
    )
    requeue(study)
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial(first, user_attrs={VALUES: first})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of constant_liar, before Optuna 5
        study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials), constant_liar=True)
    return study


def folder_of(trial: "Trial | FrozenTrial") -> str:
    """The name of the folder of a trial."""
    return trial.user_attrs.get(FOLDER, f"trial-{trial.number:03d}")


def requeue(study: "Study") -> None:
    """Mark running trials as failed, and enqueue each again with its values and its folder.

    First it is enqueued, so that a kill in between loses nothing; and not a second time, so that it repeats nothing.
    """
    from optuna.trial import TrialState

    trials = study.get_trials(deepcopy=False)
    waiting = {folder_of(trial) for trial in trials if trial.state == TrialState.WAITING}
    for trial in trials:
        if trial.state != TrialState.RUNNING:
            continue
        folder = folder_of(trial)
        values = trial.user_attrs.get(VALUES, {}) | trial.params
        if folder not in waiting and ERROR not in trial.user_attrs:
            study.enqueue_trial(values, user_attrs={VALUES: values, FOLDER: folder})
        study.tell(trial.number, state=TrialState.FAIL)


def counts(study: "Study") -> dict[str, int]:
    """How many trials are complete, pruned, and failed; those that were interrupted do not count."""
    from optuna.trial import TrialState

    trials = study.get_trials(deepcopy=False)
    failed = [trial for trial in trials if trial.state == TrialState.FAIL and ERROR in trial.user_attrs]
    states = [trial.state for trial in trials]
    complete, pruned = states.count(TrialState.COMPLETE), states.count(TrialState.PRUNED)
    return {"complete": complete, "pruned": pruned, "failed": len(failed)}


def best_of(study: "Study") -> "FrozenTrial | None":
    """The complete trial with the highest value; None if none is complete."""
    return study.best_trial if counts(study)["complete"] else None


def fail(study: "Study", trial: "Trial", sentence: str) -> None:
    """Mark a trial as failed, for good."""
    from optuna.trial import TrialState

    trial.set_user_attr(ERROR, sentence)
    study.tell(trial, state=TrialState.FAIL)


def prune(study: "Study", trial: "Trial") -> None:
    """Mark a trial as pruned: Optuna takes the last mean that was reported for its value."""
    from optuna.trial import TrialState

    study.tell(trial, state=TrialState.PRUNED)


def keep_seconds(study: "Study", seconds: float) -> None:
    """Keep the time that the search has taken over all calls of the command."""
    study.set_user_attr(SECONDS, seconds)


def seconds_of(study: "Study") -> float:
    """The seconds that the search has taken over all calls of the command."""
    return study.user_attrs.get(SECONDS, 0.0)
