"""Opening a study in a database, or creating it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.study import StudyDirection
from sqlalchemy import insert, select

from automl.errors import StudyError
from automl.search.storage.fingerprint import check_same
from automl.search.storage.schema_version import check_schema
from automl.search.storage.sql import tables
from automl.search.storage.sql.database import Database
from automl.search.storage.sql.study_owner import Owner, check_owner, read_fingerprint


def open_study(database: Database, name: str, fingerprint: Mapping[str, Any], *, at: str) -> optuna.Study:
    """Return the study of this name, which may be new: `at` is the moment. `fingerprint` has `metric` and `mode`.

    Raises StudyError if it has another fingerprint or owner, or was not made by this package.
    """
    direction = StudyDirection.MAXIMIZE if fingerprint["mode"] == "max" else StudyDirection.MINIMIZE
    if database.shared:
        with database.engine.connect() as connection:
            check_schema(connection, name, database.shown)
    known = {study.study_name for study in database.optuna.get_all_studies()}
    study = optuna.create_study(
        storage=database.optuna, study_name=name, direction=direction, load_if_exists=True
    )
    study_id = database.optuna.get_study_id_from_name(name)
    query = select(tables.meta).where(tables.meta.c.study_id == study_id)
    with database.engine.begin() as connection:
        row = connection.execute(query).mappings().first()
        if row is None:
            if name in known and study.get_trials(deepcopy=False):
                raise StudyError(
                    f"the Optuna study {name!r} in {database.shown} was not made by automl: give another name"
                )
            study.set_metric_names([fingerprint["metric"]])
            values = {
                "study_id": study_id,
                "schema_version": tables.SCHEMA_VERSION,
                "fingerprint": json.dumps(fingerprint),
                "at": at,
            }
            connection.execute(insert(tables.meta), values)
            return study
    stored, mine = read_fingerprint(row["fingerprint"], name, database.shown), fingerprint.get("owner")
    check_owner(name, database.shown, stored.get("owner"), None if mine is None else Owner(**mine))
    check_same(name, stored, fingerprint)
    return study
