"""Our own tables, beside Optuna's in the same database: what Optuna's schema cannot say.

Every row carries Optuna's `study_id`, because one server may hold many studies. Times called `time`,
`started` and `ended` are seconds since the study's first search began, on the clock of the engine (virtual
under the simulator); `at` is a moment in UTC. Trials are named by their number in the study.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, MetaData, String, Table, Text

# 2: `automl_decisions.reason` holds a code and its data as JSON; in version 1 it held a sentence. What is `round` was
# `epoch` in version 1.
SCHEMA_VERSION = 2

# MySQL's FLOAT has 24 bits unless it is told how many are wanted; elsewhere it changes nothing.
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
    Column("round", Integer, primary_key=True, autoincrement=False),
    # NaN is NULL here: not every database can hold it in a float column.
    Column("value", Float(53)),
    Column("seconds", Real, nullable=False),
    Column("metrics", Text, nullable=False),
    Column("time", Real, nullable=False),
    Column("at", String(40), nullable=False),
)

# `reason` is a `Reason` as JSON text: its code and its data.
decisions = Table(
    "automl_decisions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("study_id", Integer, nullable=False),
    Column("trial", Integer, nullable=False),
    Column("round", Integer, nullable=False),
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
    Column("round", Integer, nullable=False),
    Column("path", Text, nullable=False),
)

# The last values of what is wanted beside the metric: one row a trial and objective.
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
