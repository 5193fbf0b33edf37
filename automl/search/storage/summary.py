"""What a leaderboard needs of a study, in four queries that aggregate in the database. Imports no Optuna.

`reader.py` reads every round into objects, which takes several times as long for 10,000 trials.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError, ProgrammingError, SQLAlchemyError

from automl.documents.json_file import parse_json
from automl.records import Mode, TrialRow, TrialState, rows_of
from automl.search.reasons import Reason
from automl.search.storage.kinds import kind_of
from automl.search.storage.sql.urls import connected

# What reading the tables of another version, or of another program, ends in.
NOT_OURS = (ImportError, SQLAlchemyError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
STATES = {
    "RUNNING": TrialState.RUNNING,
    "WAITING": TrialState.PAUSED,
    "COMPLETE": TrialState.COMPLETE,
    "PRUNED": TrialState.PRUNED,
    "FAIL": TrialState.FAILED,
}
_STUDY = text(
    "SELECT s.study_id, d.direction, a.value_json FROM studies s"
    " JOIN study_directions d ON d.study_id = s.study_id AND d.objective = 0"
    " LEFT JOIN study_system_attributes a ON a.study_id = s.study_id AND a.key = 'study:metric_names'"
    " WHERE s.study_name = :name"
)
_TRIALS = text(
    "SELECT t.number, t.state, c.config, c.origin FROM trials t LEFT JOIN automl_trials c"
    " ON c.study_id = t.study_id AND c.trial = t.number WHERE t.study_id = :study ORDER BY t.number"
)
_REPORTS = text(
    "SELECT r.trial, r.epoch, r.value, g.seconds, r.metrics FROM automl_reports r"
    " JOIN (SELECT trial, MAX(epoch) AS epoch, SUM(seconds) AS seconds FROM automl_reports"
    " WHERE study_id = :study GROUP BY trial) g ON g.trial = r.trial AND g.epoch = r.epoch"
    " WHERE r.study_id = :study"
)
_REASONS = text(
    "SELECT d.trial, d.reason, d.state FROM automl_decisions d"
    " JOIN (SELECT MAX(id) AS id FROM automl_decisions WHERE study_id = :study GROUP BY trial) m ON m.id = d.id"
)
_OBJECTIVES = text("SELECT trial, name, value FROM automl_objectives WHERE study_id = :study")


@dataclass(frozen=True)
class StudySummary:
    """A study's metric ("" where the database does not say) and its trials, by number."""

    metric: str
    mode: Mode
    trials: list[TrialRow]


def read_summary(url: str, study: str) -> StudySummary | None:
    """Return the study in the database at `url`, None where its tables are not of this version.

    After None, the caller opens the study with Optuna, which also says what is wrong.
    """
    try:
        with connected(url) as connection:
            return summary_of(connection, study)
    except NOT_OURS:
        return None


def summary_of(connection: Connection, study: str) -> StudySummary | None:
    """Return the study in an open database; None where there is none, or its tables are of an earlier version.

    Raises what `read_summary` catches where they are not of automl.
    """
    found = connection.execute(_STUDY, {"name": study}).first()
    if found is None:
        return None
    study_id, direction, names = found
    chosen = {"study": study_id}
    reports = {row[0]: row[1:] for row in connection.execute(_REPORTS, chosen)}
    last = {row[0]: row[1:] for row in connection.execute(_REASONS, chosen)}
    known = connection.execute(_TRIALS, chosen).all()
    objectives = _objectives(connection, chosen)
    trials = []
    for number, state, config, origin in known:
        if config is None:  # a search of an earlier version died between two writes
            return None
        rounds, value, seconds, metrics = reports.get(number, (0, None, 0.0, "{}"))
        failed = state == "FAIL"
        reason, decided = last.get(number, ("", ""))
        unfinished = state == "PRUNED" and decided == TrialState.UNFINISHED
        chosen_config = parse_json(config)
        trials.append(
            TrialRow(
                trial=number,
                state=TrialState.UNFINISHED if unfinished else STATES[state],
                value=None if failed or value is None or not math.isfinite(value) else value,
                rounds=rounds,
                seconds=seconds,
                config=chosen_config,
                reason=str(Reason.from_json(reason)) if reason else "",
                objectives=objectives.get(number, {}),
                epochs=epochs_of(parse_json(metrics)),
                kind=kind_of(chosen_config, origin),
                val_rows=rows_of(parse_json(metrics)),
            )
        )
    metric = (parse_json(names) or [""])[0] if names else ""
    return StudySummary(metric, "min" if direction == "MINIMIZE" else "max", trials)


def epochs_of(metrics: Mapping[str, float]) -> float | None:
    """Return the passes through the training rows that a round reported, None if it did not."""
    return metrics.get("epochs", metrics.get("passes"))  # `passes` in studies of version 1


def _objectives(connection: Connection, chosen: dict[str, int]) -> dict[int, dict[str, float]]:
    """Return the objectives by trial. The last query, because databases of earlier versions have no such table."""
    found: dict[int, dict[str, float]] = defaultdict(dict)
    try:
        for trial, name, value in connection.execute(_OBJECTIVES, chosen):
            if value is not None:
                found[trial][name] = value
    except (OperationalError, ProgrammingError):
        return {}
    return found
