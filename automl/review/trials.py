"""The trials of a study on disk: from trials.csv if it is finished, else from its database."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from automl.config.metrics import METRICS
from automl.records import DatasetInfo, Mode, TrialRow, rows_of
from automl.review.studies import DATABASE_FILE, TRIALS_FILE, StudyFolder
from automl.review.tables import MODEL_SIZE, read_trials
from automl.training.published.licences import licence_words
from automl.training.steps.standard_errors import standard_error

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from automl.search.storage.reader import StoredTrial


def study_trials(study: StudyFolder) -> tuple[str, Mode, list[TrialRow]]:
    """Return metric, mode and trials of a study; no trials if its search has not started.

    Their configurations name the pretrained weights with their tag. Raises StudyError for a damaged trials.csv and
    StorageError if the database cannot be read.
    """
    table = study.path / TRIALS_FILE
    if study.finished and table.is_file():
        metric, rows = read_trials(table)
        return metric, study_mode(study, metric), judged_in(study, rows, metric)
    if not study.config.get("storage") and not (study.path / DATABASE_FILE).is_file():
        return study.metric, study_mode(study, study.metric), []
    from automl.search.storage.summary import read_summary

    begun_with = study.plan.get("begun_with", {})
    summary = read_summary(study.storage_url(), study.name)
    if summary is not None:
        metric, mode, rows = summary.metric or study.metric, summary.mode, summary.trials
    else:
        metric, mode, trials = stored_trials(study)
        rows = stored_rows(trials)
    return metric, mode, judged_in(study, with_weights(rows, begun_with), metric)


def judged(trials: Iterable[TrialRow], metric: str, info: DatasetInfo) -> list[TrialRow]:
    """Return the trials, those that were scored on fewer than all validation rows with what their scores are worth.

    The standard error is that by which a search compares them (`Incumbent`); 0 for a metric of `automl.tune`.
    """

    def one(row: TrialRow) -> TrialRow:
        if not 0 < row.val_rows < info.n_scored:
            return replace(row, val_rows=0, error=0.0)
        known = metric in METRICS and row.value is not None and math.isfinite(row.value)
        return replace(
            row, error=standard_error(metric, row.value or 0.0, info, row.val_rows) if known else 0.0
        )

    return [one(row) for row in trials]


def judged_in(study: StudyFolder, trials: Iterable[TrialRow], metric: str) -> list[TrialRow]:
    """Return `judged` by the data of a study, as its plan says them; without a plan every score is taken as it is."""
    info = _rows_and_classes(study)
    return judged(trials, metric, info) if info else [replace(row, val_rows=0) for row in trials]


def val_images(study: StudyFolder) -> int:
    """Return how many rows score a trial of a study; 0 if its plan does not say."""
    info = _rows_and_classes(study)
    return info.n_scored if info else 0


def _rows_and_classes(study: StudyFolder) -> DatasetInfo | None:
    """Return the data of a study as far as standard errors depend on them; None if its plan does not say.

    The classes count as equally frequent: plan.json has no others.
    """
    try:
        plan = study.plan
        n_train, n_outputs = int(plan["n_train"]), int(plan["traits"]["n_outputs"])
        n_val, folds = int(plan["n_val"]), 2 if plan.get("val") == "cv" else 0
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    equal = (max(1, n_train // max(1, n_outputs)),) * n_outputs
    return DatasetInfo.counted(equal, n_train=n_train, n_val=n_val, folds=folds)


def with_weights(trials: Iterable[TrialRow], begun_with: Mapping[str, Any]) -> list[TrialRow]:
    """Return the trials with the weights that they started from in their configurations, such as resnet18.a1_in1k.

    `begun_with` is that of plan.json.
    """
    names = {model: row["model"] for model, row in begun_with.get("weights", {}).items()}
    return [
        replace(row, config={**row.config, "weights": names[row.config["model"]]})
        if row.config.get("pretrained") and row.config.get("model") in names
        else row
        for row in trials
    ]


def weights_of(study: StudyFolder) -> dict[str, dict[str, str]]:
    """Return name, licence, source and origin of the pretrained weights of a study, by model; empty without any."""
    return {
        model: {
            "weights": row["model"],
            "licence": licence_words(row.get("licence", "")),
            "source": row["source"],
            "origin": row.get("origin", ""),
        }
        for model, row in study.plan.get("begun_with", {}).get("weights", {}).items()
    }


def study_mode(study: StudyFolder, metric: str) -> Mode:
    """Return the mode of the result, or else that of the metric."""
    mode = (study.result or {}).get("mode")
    if mode in ("max", "min"):
        return "max" if mode == "max" else "min"
    return METRICS[metric].mode if metric in METRICS else "max"


def stored_rows(trials: Iterable[StoredTrial]) -> list[TrialRow]:
    """Return trials from the database as rows of the leaderboard, by number."""
    return [
        TrialRow(
            trial=trial.number,
            state=trial.state,
            value=trial.value if math.isfinite(trial.value) else None,
            rounds=trial.rounds,
            seconds=trial.seconds,
            config=trial.config,
            reason="" if trial.reason is None else str(trial.reason),
            objectives={name: count for name in MODEL_SIZE if (count := trial.objective(name)) is not None},
            epochs=trial.epochs,
            kind=trial.kind,
            val_rows=rows_of(trial.metrics),
        )
        for trial in sorted(trials, key=lambda trial: trial.number)
    ]


@dataclass(frozen=True)
class OpenStudy:
    """A study in its database, open for reading: `id` is Optuna's, `metric` and `mode` what it searches by."""

    connection: Connection
    id: int
    metric: str
    mode: Mode


@contextmanager
def open_study(study: StudyFolder) -> Iterator[OpenStudy | None]:
    """Open a study's database for this block; None if the study is not in it.

    Raises StorageError if the database cannot be read.
    """
    import optuna

    from automl.search.storage.sql.database import open_database, storage_errors

    database = open_database(study.storage_url())
    try:
        with storage_errors(database.shown):
            if study.name not in {known.study_name for known in database.optuna.get_all_studies()}:
                yield None
                return
            loaded = optuna.load_study(study_name=study.name, storage=database.optuna)
            mode: Mode = "min" if loaded.direction == optuna.study.StudyDirection.MINIMIZE else "max"
            metric = (loaded.metric_names or [study.metric])[0]
            number = database.optuna.get_study_id_from_name(study.name)
            with database.engine.connect() as connection:
                yield OpenStudy(connection, number, metric, mode)
    finally:
        database.close()


def stored_trials(study: StudyFolder) -> tuple[str, Mode, list[StoredTrial]]:
    """Return metric, mode and trials of a study from its database, heads included, with every round.

    There are no trials without a study. Raises StorageError if the database cannot be read.
    """
    from automl.search.storage.reader import read_trials as read_stored

    with open_study(study) as opened:
        if opened is None:
            return study.metric, study_mode(study, study.metric), []
        return opened.metric, opened.mode, read_stored(opened.connection, opened.id)
