"""The trials of a study on disk: from trials.csv where it is finished, else from its database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.config.metrics import METRICS
from automl.errors import StorageError
from automl.records import Mode, TrialState
from automl.review.studies import DATABASE_FILE, TRIALS_FILE, StudyFolder
from automl.review.tables import TrialRow, read_trials

if TYPE_CHECKING:
    import optuna

# A paused trial waits in the database, and says so in this attribute.
_PAUSED = "paused"
_REASONS = ("reason", "cause", _PAUSED)


def study_trials(study: StudyFolder) -> tuple[str, Mode, list[TrialRow]]:
    """Metric, mode and trials of a study; no trials where its search has not begun.

    Raises StudyError for a damaged trials.csv and StorageError where the database cannot be read.
    """
    table = study.path / TRIALS_FILE
    if study.finished and table.is_file():
        metric, rows = read_trials(table)
        return metric, study_mode(study, metric), rows
    if not study.config.get("storage") and not (study.path / DATABASE_FILE).is_file():
        return study.metric, study_mode(study, study.metric), []
    return _from_database(study)


def study_mode(study: StudyFolder, metric: str) -> Mode:
    """Whether more is better, as the result says, or as the metric has it."""
    said = (study.result or {}).get("mode")
    if said in ("max", "min"):
        return "max" if said == "max" else "min"
    return METRICS[metric].mode if metric in METRICS else "max"


def _from_database(study: StudyFolder) -> tuple[str, Mode, list[TrialRow]]:
    import optuna
    import sqlalchemy.exc

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        url = study.storage_url()
        names = optuna.get_all_study_names(url)
        name = study.name if study.name in names else (names[0] if len(names) == 1 else None)
        if name is None:
            return study.metric, study_mode(study, study.metric), []
        loaded = optuna.load_study(study_name=name, storage=url)
        mode: Mode = "max" if loaded.direction == optuna.study.StudyDirection.MAXIMIZE else "min"
        metric = study.metric if study.metric != "auto" else _metric_name(loaded)
        return (
            metric,
            mode,
            [trial_row(trial) for trial in loaded.get_trials(deepcopy=False) if _begun(trial)],
        )
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StorageError(f"the database of study {study.name!r} must be readable, got: {first}") from error
    finally:
        optuna.logging.set_verbosity(before)


def trial_row(trial: optuna.trial.FrozenTrial) -> TrialRow:
    """An Optuna trial as a row: parameters `lr.sgd` and `model.resnet` are `lr` and `model` again."""
    steps = trial.intermediate_values
    value = steps[max(steps)] if steps else None
    if trial.values and trial.state.name == "COMPLETE":
        value = trial.values[0]
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    return TrialRow(
        trial=trial.number,
        state=_state(trial),
        value=value,
        epochs=max(steps, default=0),
        seconds=float(trial.user_attrs.get("seconds", seconds)),
        config={name.split(".")[0]: number for name, number in trial.params.items()},
        reason=next((str(trial.user_attrs[name]) for name in _REASONS if name in trial.user_attrs), ""),
    )


def _begun(trial: optuna.trial.FrozenTrial) -> bool:
    """Trials that only wait for their first start are not part of a leaderboard."""
    return trial.state.name != "WAITING" or bool(trial.intermediate_values)


def _state(trial: optuna.trial.FrozenTrial) -> TrialState:
    if trial.state.name == "WAITING":
        return TrialState.PAUSED
    return {"COMPLETE": TrialState.COMPLETE, "PRUNED": TrialState.PRUNED, "FAIL": TrialState.FAILED}.get(
        trial.state.name, TrialState.RUNNING
    )


def _metric_name(study: optuna.Study) -> str:
    names = study.metric_names
    return names[0] if names else "value"
