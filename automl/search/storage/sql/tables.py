"""Our own tables beside Optuna's in the same database, for what Optuna's schema cannot hold, and their statements.

Every row has Optuna's `study_id`, because a server may hold many studies. `time`, `started` and `ended` are seconds
since the study's first search began, on the engine's clock; `at` is a moment in UTC. `trial` is the trial's number.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    update,
)

# Version 1 had sentences in `automl_decisions.reason`, where there are codes and data as JSON now. The tables are the
# same, so that a server holds studies of both; so what is a round in the code is still a column `epoch`.
SCHEMA_VERSION = 2

# MySQL's FLOAT has 24 bits by default; elsewhere this changes nothing.
Real = Float(53)

metadata = MetaData()

meta = Table(
    "automl_meta",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("at", String(40), nullable=False),
)

trials = Table(
    "automl_trials",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("trial", Integer, primary_key=True, autoincrement=False),
    Column("config", Text, nullable=False),
    Column("origin", String(40), nullable=False),
    Column("time", Real, nullable=False),
)

reports = Table(
    "automl_reports",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("trial", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, key="round", primary_key=True, autoincrement=False),
    Column("value", Float(53)),  # NULL: NaN, which not every database can store
    Column("seconds", Real, nullable=False),
    Column("metrics", Text, nullable=False),
    Column("time", Real, nullable=False),
    Column("at", String(40), nullable=False),
)

# `reason` is a `Reason` as JSON.
decisions = Table(
    "automl_decisions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("study_id", Integer, nullable=False),
    Column("trial", Integer, nullable=False),
    Column("epoch", Integer, key="round", nullable=False),
    Column("action", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("rung", Integer),
    Column("reason", Text, nullable=False),
    Column("time", Real, nullable=False),
    Column("at", String(40), nullable=False),
)

checkpoints = Table(
    "automl_checkpoints",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("trial", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, key="round", nullable=False),
    Column("path", Text, nullable=False),
)

# The last values of the objectives beside the metric: a row for each trial and objective.
objectives = Table(
    "automl_objectives",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("trial", Integer, primary_key=True, autoincrement=False),
    Column("name", String(100), primary_key=True),
    Column("mode", String(10), nullable=False),
    Column("value", Float(53)),
)

runs = Table(
    "automl_runs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("study_id", Integer, nullable=False),
    Column("trial", Integer, nullable=False),
    Column("worker", String(80), nullable=False),
    Column("node", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started", Real, nullable=False),
    Column("ended", Float(53)),
)

Index("automl_decisions_by_trial", decisions.c.study_id, decisions.c.trial)
Index("automl_runs_by_trial", runs.c.study_id, runs.c.trial)


def _of_trial(table: Table) -> Any:
    return (table.c.study_id == bindparam("of_study")) & (table.c.trial == bindparam("of_number"))


NEW_TRIAL = insert(trials)
NEW_REPORT = insert(reports)
NEW_DECISION = insert(decisions)
NEW_CHECKPOINT = insert(checkpoints)
NEW_RUN = insert(runs)
DROP_TRIAL = delete(trials).where(_of_trial(trials))
DROP_CHECKPOINT = delete(checkpoints).where(_of_trial(checkpoints))
NEW_OBJECTIVE = insert(objectives)
DROP_OBJECTIVES = delete(objectives).where(_of_trial(objectives))
DROP_REPORT = delete(reports).where(_of_trial(reports), reports.c.round == bindparam("of_round"))
# A run is found by the moment at which it began: its key comes only with the transaction that writes it.
_THIS_RUN = update(runs).where(
    _of_trial(runs), runs.c.started == bindparam("of_started"), runs.c.ended.is_(None)
)
END_RUN = _THIS_RUN.values(ended=bindparam("to_ended"))
MOVE_RUN = _THIS_RUN.values(worker=bindparam("to_worker"), node=bindparam("to_node"), pid=bindparam("to_pid"))
