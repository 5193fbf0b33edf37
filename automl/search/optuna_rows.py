"""Rows for Optuna's own tables, so that they go into the transactions of ours.

Optuna's storage interface takes several queries and a transaction for every value; 1,000 reports a second are beyond
it. What is written here reads the same through Optuna (tests/search/test_store.py reads everything back that way).
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial
from sqlalchemy import BindParameter, Table, bindparam, delete, insert, update

METADATA = models.BaseModel.metadata
TABLES = METADATA.tables
TRIALS: Table = TABLES["trials"]
PARAMS: Table = TABLES["trial_params"]
VALUES: Table = TABLES["trial_values"]
EPOCHS: Table = TABLES["trial_intermediate_values"]
USER_ATTRIBUTES: Table = TABLES["trial_user_attributes"]
SYSTEM_ATTRIBUTES: Table = TABLES["trial_system_attributes"]

# Rows carry the trial's number under this name; the journal puts Optuna's id in its place when it writes.
TRIAL = "of_trial"

_this: BindParameter[int] = bindparam(TRIAL)
NEW_TRIAL = insert(TRIALS)
NEW_PARAM = insert(PARAMS)
NEW_VALUE = insert(VALUES)
NEW_EPOCH = insert(EPOCHS)
NEW_USER_ATTRIBUTE = insert(USER_ATTRIBUTES)
NEW_SYSTEM_ATTRIBUTE = insert(SYSTEM_ATTRIBUTES)
SET_STATE = update(TRIALS).where(TRIALS.c.trial_id == _this).values(state=bindparam("to_state"))
SET_STARTED = SET_STATE.values(datetime_start=bindparam("moment"))
SET_ENDED = SET_STATE.values(datetime_complete=bindparam("moment"))
SET_USER_ATTRIBUTE = (
    update(USER_ATTRIBUTES)
    .where(USER_ATTRIBUTES.c.trial_id == _this, USER_ATTRIBUTES.c.key == bindparam("of_key"))
    .values(value_json=bindparam("to_json"))
)
DROP_EPOCH = delete(EPOCHS).where(EPOCHS.c.trial_id == _this, EPOCHS.c.step == bindparam("of_step"))


def utc_now() -> datetime:
    """The moment as Optuna stores it: UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def trial_row(study_id: int, trial: FrozenTrial) -> dict[str, Any]:
    """A trial's row in `trials`."""
    started = trial.datetime_start
    return {
        "study_id": study_id,
        "number": trial.number,
        "state": trial.state,
        "datetime_start": utc_now() if started is None else started.astimezone(UTC).replace(tzinfo=None),
    }


def param_rows(trial: FrozenTrial) -> list[dict[str, Any]]:
    """The rows of a trial's parameters."""
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
    """The rows of what samplers noted down about a trial."""
    return [
        {TRIAL: trial.number, "key": key, "value_json": json.dumps(value)}
        for key, value in trial.system_attrs.items()
    ]


def epoch_row(number: int, epoch: int, value: float) -> dict[str, Any]:
    """The value of one epoch; what is not finite is a word in Optuna's schema."""
    stored, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
    return {TRIAL: number, "step": epoch, "intermediate_value": stored, "intermediate_value_type": kind}


def value_row(number: int, value: float) -> dict[str, Any]:
    """The value that a trial ended with, which must be finite."""
    if not math.isfinite(value):
        raise ValueError(f"a trial's value must be finite, got {value!r}")
    return {
        TRIAL: number,
        "objective": 0,
        "value": value,
        "value_type": models.TrialValueModel.TrialValueType.FINITE,
    }
