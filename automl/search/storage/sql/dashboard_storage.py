"""Optuna's storage for a dashboard: reads all trials of a study with one query for each table, without ORM objects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container
from functools import lru_cache
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Table, select

from automl.documents.json_file import parse_json
from automl.search.storage.sql import optuna_tables as rows

# A study has few distributions, and each trial has all of them.
_known = lru_cache(maxsize=10_000)(json_to_distribution)


class BulkStorage(RDBStorage):
    """Reads what `RDBStorage` reads, but makes trials of rows directly, where Optuna makes an object of every value.

    10,000 trials with 47,000 rounds take 0.8 instead of 8.6 seconds of processor time.
    """

    # Private to Optuna: `_get_trials`. The cache that the dashboard wraps around this storage reads through it, and
    # through nothing public. Without it, the dashboard is as slow as with Optuna's own storage, and still right.

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        if trial_id_greater_than > -1 or states is not None:  # only some of them
            return super()._get_trials(study_id, states, included_trial_ids, trial_id_greater_than)
        with self.engine.connect() as connection:
            trials = connection.execute(
                select(rows.TRIALS).where(rows.TRIALS.c.study_id == study_id).order_by(rows.TRIALS.c.trial_id)
            ).all()
            if not trials:  # raises if there is no such study
                return super()._get_trials(study_id, states, included_trial_ids, trial_id_greater_than)
            parts = _Parts(connection, study_id)
        return [parts.trial(row) for row in trials]


class _Parts:
    """The values and attributes of a study's trials, by Optuna's id of the trial."""

    def __init__(self, connection: Connection, study_id: int) -> None:
        self.params: dict[int, dict[str, Any]] = defaultdict(dict)
        self.distributions: dict[int, dict[str, BaseDistribution]] = defaultdict(dict)
        columns = ("trial_id", "param_name", "param_value", "distribution_json")
        for trial, name, value, text in _of(connection, rows.PARAMS, study_id, columns, order="param_id"):
            distribution = _known(text)
            self.distributions[trial][name] = distribution
            self.params[trial][name] = distribution.to_external_repr(value)
        self.rounds: dict[int, dict[int, float]] = defaultdict(dict)
        columns = ("trial_id", "step", "intermediate_value", "intermediate_value_type")
        for trial, step, value, kind in _of(connection, rows.INTERMEDIATE, study_id, columns):
            self.rounds[trial][step] = rows.number_of(value, kind)
        self.values: dict[int, dict[int, float]] = defaultdict(dict)
        columns = ("trial_id", "objective", "value", "value_type")
        for trial, objective, value, kind in _of(connection, rows.VALUES, study_id, columns):
            self.values[trial][objective] = rows.number_of(value, kind)
        self.user, self.system = (
            _attributes(connection, table, study_id)
            for table in (rows.USER_ATTRIBUTES, rows.SYSTEM_ATTRIBUTES)
        )

    def trial(self, row: Any) -> FrozenTrial:
        """Return the trial of a row of `trials`."""
        key = row.trial_id
        values = self.values.get(key)
        return FrozenTrial(
            number=row.number,
            state=row.state,
            value=None,
            values=[values[objective] for objective in sorted(values)] if values else None,
            datetime_start=row.datetime_start,
            datetime_complete=row.datetime_complete,
            params=self.params[key],
            distributions=self.distributions[key],
            user_attrs=self.user[key],
            system_attrs=self.system[key],
            intermediate_values=self.rounds[key],
            trial_id=key,
        )


def _attributes(connection: Connection, table: Table, study_id: int) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    for trial, key, value in _of(connection, table, study_id, ("trial_id", "key", "value_json")):
        found[trial][key] = parse_json(value)
    return found


def _of(
    connection: Connection, table: Table, study_id: int, columns: tuple[str, ...], *, order: str | None = None
) -> Any:
    """Return the rows of `table` that belong to trials of the study."""
    query = select(*(table.c[name] for name in columns)).join(
        rows.TRIALS, rows.TRIALS.c.trial_id == table.c.trial_id
    )
    query = query.where(rows.TRIALS.c.study_id == study_id)
    return connection.execute(query if order is None else query.order_by(table.c[order]))
