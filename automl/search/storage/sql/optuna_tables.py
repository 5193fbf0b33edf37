"""Rows for Optuna's own tables, which are written in the same transactions as ours.

Optuna's storage takes several queries and a transaction for every value, too slow for 1,000 reports a second. What is
written here reads the same through Optuna (tests/search/storage/test_store.py), and the tables are those that Optuna
makes (tests/test_private_names.py).
"""

from __future__ import annotations

import enum
import json
import math
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import distribution_to_json
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import (
    BindParameter,
    Column,
    Connection,
    DateTime,
    Enum,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.schema import SchemaItem

METADATA = MetaData()  # of tables that Optuna makes


class Kind(enum.Enum):
    """Optuna's names for numbers that a column cannot hold."""

    FINITE = 1
    INF_POS = 2
    INF_NEG = 3
    NAN = 4


_NOT_FINITE = {Kind.INF_POS: math.inf, Kind.INF_NEG: -math.inf, Kind.NAN: math.nan}


def _table(name: str, *columns: SchemaItem, of: str) -> Table:
    """Return a table whose rows belong to a row of `of`. Its first column is its key."""
    first, *others = columns
    parent: Column[int] = Column(_KEYS[of], ForeignKey(f"{of}.{_KEYS[of]}"))
    return Table(name, METADATA, first, parent, *others)


def _key(name: str) -> Column[int]:
    return Column(name, Integer, primary_key=True)


_KEYS = {"studies": "study_id", "trials": "trial_id"}
STUDIES = Table("studies", METADATA, _key("study_id"), Column("study_name", String(512)))
TRIALS = _table(
    "trials",
    _key("trial_id"),
    Column("number", Integer),
    Column("state", Enum(TrialState, name="trialstate")),
    Column("datetime_start", DateTime),
    Column("datetime_complete", DateTime),
    of="studies",
)
PARAMS = _table(
    "trial_params",
    _key("param_id"),
    Column("param_name", String(512)),
    Column("param_value", Float(53)),
    Column("distribution_json", Text),
    of="trials",
)
VALUES = _table(
    "trial_values",
    _key("trial_value_id"),
    Column("objective", Integer),
    Column("value", Float(53)),
    # PostgreSQL needs the names of these types.
    Column("value_type", Enum(*(kind.name for kind in Kind if kind is not Kind.NAN), name="trialvaluetype")),
    of="trials",
)
INTERMEDIATE = _table(
    "trial_intermediate_values",
    _key("trial_intermediate_value_id"),
    Column("step", Integer),
    Column("intermediate_value", Float(53)),
    Column("intermediate_value_type", Enum(*(kind.name for kind in Kind), name="trialintermediatevaluetype")),
    of="trials",
)


def _attributes(name: str, key: str, *, of: str) -> Table:
    return _table(name, _key(key), Column("key", String(512)), Column("value_json", Text), of=of)


USER_ATTRIBUTES = _attributes("trial_user_attributes", "trial_user_attribute_id", of="trials")
SYSTEM_ATTRIBUTES = _attributes("trial_system_attributes", "trial_system_attribute_id", of="trials")
# Other tables with rows of a study, which are deleted with it.
_attributes("study_user_attributes", "study_user_attribute_id", of="studies")
_attributes("study_system_attributes", "study_system_attribute_id", of="studies")
_table("study_directions", _key("study_direction_id"), of="studies")
_table("trial_heartbeats", _key("trial_heartbeat_id"), of="trials")

# The key of the trial's number in a row. The journal replaces it by Optuna's id when it writes.
TRIAL = "of_trial"

_this: BindParameter[int] = bindparam(TRIAL)
NEW_TRIAL = insert(TRIALS)
NEW_PARAM = insert(PARAMS)
NEW_VALUE = insert(VALUES)
NEW_INTERMEDIATE = insert(INTERMEDIATE)
NEW_USER_ATTRIBUTE = insert(USER_ATTRIBUTES)
NEW_SYSTEM_ATTRIBUTE = insert(SYSTEM_ATTRIBUTES)
SET_STATE = update(TRIALS).where(TRIALS.c.trial_id == _this).values(state=bindparam("to_state"))
SET_STARTED = SET_STATE.values(datetime_start=bindparam("moment"))
SET_ENDED = SET_STATE.values(datetime_complete=bindparam("moment"))
# Optuna itself changes no finished trial. A trial that the time cut is not over for us.
SET_REOPENED = SET_STARTED.values(datetime_complete=None)
DROP_VALUE = delete(VALUES).where(VALUES.c.trial_id == _this)
SET_USER_ATTRIBUTE = (
    update(USER_ATTRIBUTES)
    .where(USER_ATTRIBUTES.c.trial_id == _this, USER_ATTRIBUTES.c.key == bindparam("of_key"))
    .values(value_json=bindparam("to_json"))
)
DROP_INTERMEDIATE = delete(INTERMEDIATE).where(
    INTERMEDIATE.c.trial_id == _this, INTERMEDIATE.c.step == bindparam("of_step")
)


def utc_now() -> datetime:
    """Return the moment as Optuna stores it: UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def trial_row(study_id: int, trial: FrozenTrial) -> dict[str, Any]:
    """Return a trial's row of `trials`."""
    started = trial.datetime_start
    return {
        "study_id": study_id,
        "number": trial.number,
        "state": trial.state,
        "datetime_start": utc_now() if started is None else started.astimezone(UTC).replace(tzinfo=None),
    }


def param_rows(trial: FrozenTrial) -> list[dict[str, Any]]:
    """Return the rows of a trial's parameters."""
    return [
        {
            TRIAL: trial.number,
            "param_name": name,
            "param_value": trial.distributions[name].to_internal_repr(value),
            "distribution_json": distribution_to_json(trial.distributions[name]),
        }
        for name, value in trial.params.items()
    ]


def system_attribute_rows(trial: FrozenTrial) -> list[dict[str, Any]]:
    """Return the rows of the samplers' notes about a trial."""
    return [
        {TRIAL: trial.number, "key": key, "value_json": json.dumps(value)}
        for key, value in trial.system_attrs.items()
    ]


def intermediate_row(number: int, round: int, value: float) -> dict[str, Any]:
    """Return the row of a round's value. Optuna's schema has words for values that are not finite."""
    kind = kind_of(value)
    stored = value if kind is Kind.FINITE else None
    return {TRIAL: number, "step": round, "intermediate_value": stored, "intermediate_value_type": kind.name}


def kind_of(value: float) -> Kind:
    """Return Optuna's name for a number."""
    if math.isnan(value):
        return Kind.NAN
    if math.isinf(value):
        return Kind.INF_POS if value > 0 else Kind.INF_NEG
    return Kind.FINITE


def number_of(stored: float | None, kind: str) -> float:
    """Return the number that a row holds."""
    return _NOT_FINITE.get(Kind[kind], math.nan) if stored is None else stored


def trial_ids(connection: Connection, study_id: int) -> dict[int, int]:
    """Return Optuna's ids of a study's trials, by number."""
    query = select(TRIALS.c.number, TRIALS.c.trial_id).where(TRIALS.c.study_id == study_id)
    return {int(number): int(trial) for number, trial in connection.execute(query)}


def value_row(number: int, value: float) -> dict[str, Any]:
    """Return the row of a trial's final value, which must be finite."""
    if not math.isfinite(value):
        raise ValueError(f"a trial's value must be finite, got {value!r}")
    return {TRIAL: number, "objective": 0, "value": value, "value_type": Kind.FINITE.name}
