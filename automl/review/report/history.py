"""The history of a search, from the study's database: trials with all rounds, stretches on workers, decisions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sqlalchemy import select

from automl.errors import AutomlError
from automl.records import Mode, TrialRow, TrialState
from automl.review.studies import DATABASE_FILE, StudyFolder
from automl.review.tables import ranked
from automl.review.trials import judged_in, open_study, stored_rows, study_mode, study_trials, with_weights
from automl.search.storage.event_log import Event, read_events
from automl.search.storage.kinds import HEADS
from automl.search.storage.reader import StoredTrial, read_trials
from automl.search.storage.sql import tables


@dataclass(frozen=True)
class Stretch:
    """A stretch of a trial on a worker. Times are seconds since the study's first search began."""

    trial: int
    worker: str
    started: float
    ended: float | None


@dataclass(frozen=True)
class History:
    """What is known about a search.

    `rows` are trials and heads as tables show them, `trials` the trainings with their rounds. `full` is a
    trial's full length in rounds, None if unknown. `problem` says why the database cannot be read; then there are only
    the rows of trials.csv, if there is one.
    """

    metric: str
    mode: Mode
    rows: tuple[TrialRow, ...] = ()
    trials: tuple[StoredTrial, ...] = field(default=(), repr=False)
    stretches: tuple[Stretch, ...] = field(default=(), repr=False)
    events: tuple[Event, ...] = field(default=(), repr=False)
    full: int | None = None
    problem: str = ""

    @property
    def sign(self) -> float:
        """1 if more is better by the metric, else -1."""
        return 1.0 if self.mode == "max" else -1.0

    @property
    def trained(self) -> list[TrialRow]:
        """The trainings, without linear heads."""
        return [row for row in self.rows if row.kind not in HEADS]

    @property
    def best(self) -> TrialRow | None:
        """The trial with the best last value that is no head; None if none has a value."""
        found = [row for row in self.trained if row.value is not None and row.state is not TrialState.FAILED]
        return ranked(found, self.mode)[0] if found else None

    @property
    def ended(self) -> float:
        """Seconds from the beginning of the first search to the last thing that happened in it."""
        moments = [event.time for event in self.events]
        moments += [moment for trial in self.trials for moment in trial.report_times]
        moments += [stretch.ended for stretch in self.stretches if stretch.ended is not None]
        return max(moments, default=0.0)

    @property
    def workers(self) -> list[str]:
        """The names of the workers, in order."""
        return sorted({stretch.worker for stretch in self.stretches})


def read_history(study: StudyFolder) -> History:
    """Return the history of a study's search; an empty one if it has not begun."""
    if not study.config.get("storage") and not (study.path / DATABASE_FILE).is_file():
        problem = "the study's database is missing" if study.finished else ""
        return _from_table(study, problem)
    try:
        with open_study(study) as opened:
            if opened is None:
                return History(study.metric, study_mode(study, study.metric))
            stored = read_trials(opened.connection, opened.id)
            events = read_events(opened.connection, opened.id)
            runs = select(tables.runs).where(tables.runs.c.study_id == opened.id).order_by(tables.runs.c.id)
            stretches = [
                Stretch(row["trial"], _worker(row["node"], row["worker"]), row["started"], row["ended"])
                for row in opened.connection.execute(runs).mappings()
            ]
            metric, mode = opened.metric, opened.mode
    except (AutomlError, ImportError) as error:
        return _from_table(study, str(error))
    begun_with = study.plan.get("begun_with", {})
    return History(
        metric,
        mode,
        tuple(judged_in(study, with_weights(stored_rows(stored), begun_with), metric)),
        tuple(trial for trial in stored if not trial.is_head),
        tuple(stretches),
        tuple(event for event in events if math.isfinite(event.time)),
        study.plan.get("epochs"),
    )


def _from_table(study: StudyFolder, problem: str) -> History:
    """Return what trials.csv holds of the history, with why there is no more."""
    if not study.finished:
        return History(study.metric, study_mode(study, study.metric), problem=problem)
    try:
        metric, mode, rows = study_trials(study)
    except AutomlError as error:
        return History(study.metric, study_mode(study, study.metric), problem=f"{problem}; {error}")
    return History(metric, mode, tuple(rows), problem=problem)


def _worker(node: str, worker: str) -> str:
    return f"{node}, {worker}"
