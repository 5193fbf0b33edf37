"""Linear heads as trials of the study: complete before the search begins, and hidden from its samplers.

Their configuration is in user attributes: as parameters of Optuna it would count in the dashboard's importances.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from automl.records import VAL_ROWS, HeadTrial, Mode
from automl.search.storage.kinds import HEAD, kind_of
from automl.search.storage.reader import StoredTrial
from automl.search.storage.sql import optuna_tables as rows
from automl.search.storage.sql import tables
from automl.search.storage.sql.write_journal import Journal

KEY = "automl:head"  # the system attribute of such a trial: its key
KIND, ORIGIN = "kind", "origin"  # user attributes
ROUND = 0  # of its only report

ROWS = ("train_rows", VAL_ROWS, "cv_rows")  # metrics that count the rows of a head

Attribute = Callable[[int, str, str | float | None], None]


def is_head(trial: FrozenTrial) -> bool:
    """Return whether a trial of Optuna is a linear head."""
    return KEY in trial.system_attrs


class HeadTrials:
    """The heads of a study. `numbers` are those of their trials, by key."""

    def __init__(
        self,
        journal: Journal,
        study_id: int,
        past: Sequence[FrozenTrial],
        *,
        attribute: Attribute,
        objectives: Mapping[str, Mode],
    ) -> None:
        """`attribute` writes a user attribute of a trial; `objectives` are the metrics that are stored as such."""
        self._journal, self._study_id = journal, study_id
        self._attribute, self._objectives = attribute, objectives
        self.numbers = {str(trial.system_attrs[KEY]): trial.number for trial in past if is_head(trial)}

    def __len__(self) -> int:
        return len(self.numbers)

    def adds(self, head: HeadTrial, known: Mapping[int, StoredTrial]) -> bool:
        """Return whether a head is new, or knows more rows than the one with its key among the trials `known`."""
        stored = known.get(self.numbers.get(head.key, -1))
        return stored is None or stored.value is None or _rows(head.metrics) > _rows(stored.metrics)

    def keep(self, head: HeadTrial, next_number: Callable[[], int], *, at: str) -> None:
        """Write a head as a COMPLETE trial. One with its key becomes this head, so that none is there twice.

        `at` is the moment. The value must be finite.
        """
        number = self.numbers.get(head.key)
        if number is None:
            number = self.numbers[head.key] = next_number()
            self._begin(number, head)
        self._outcome(number, head, at)
        self._attribute(number, ORIGIN, HEAD)
        self._attribute(number, KIND, kind_of(head.config, HEAD))
        self._attribute(number, "seconds", round(head.seconds, 3))
        for name, value in head.config.items():
            self._attribute(number, name, value)

    def _begin(self, number: int, head: HeadTrial) -> None:
        moment = rows.utc_now()
        begun = {
            "study_id": self._study_id,
            "number": number,
            "state": OptunaState.RUNNING,
            "datetime_start": moment - timedelta(seconds=head.seconds),
        }
        add = self._journal.add
        add(rows.TRIALS, rows.NEW_TRIAL, begun)
        ended = {rows.TRIAL: number, "to_state": OptunaState.COMPLETE, "moment": moment}
        add(rows.TRIALS, rows.SET_ENDED, ended)
        attribute = {rows.TRIAL: number, "key": KEY, "value_json": json.dumps(head.key)}
        add(rows.SYSTEM_ATTRIBUTES, rows.NEW_SYSTEM_ATTRIBUTE, attribute)

    def _outcome(self, number: int, head: HeadTrial, at: str) -> None:
        """Write value, configuration, seconds and metrics in place of those that may be there."""
        add, this = self._journal.add, {rows.TRIAL: number}
        ours, own = (
            {"of_study": self._study_id, "of_number": number},
            {"study_id": self._study_id, "trial": number},
        )
        add(rows.VALUES, rows.DROP_VALUE, this)
        add(rows.VALUES, rows.NEW_VALUE, rows.value_row(number, head.value))
        add(tables.trials, tables.DROP_TRIAL, ours)
        config = json.dumps(head.config)
        add(tables.trials, tables.NEW_TRIAL, {**own, "config": config, "origin": HEAD, "time": 0.0})
        add(tables.reports, tables.DROP_REPORT, {**ours, "of_round": ROUND})
        report = {
            "round": ROUND,
            "value": head.value,
            "seconds": head.seconds,
            "metrics": json.dumps(dict(head.metrics)),
            "time": 0.0,
            "at": at,
        }
        add(tables.reports, tables.NEW_REPORT, {**own, **report})
        add(tables.objectives, tables.DROP_OBJECTIVES, ours)
        for name, mode in self._objectives.items():
            value = head.metrics.get(name, math.nan)
            if math.isfinite(value):
                row = {**own, "name": name, "mode": mode, "value": value}
                add(tables.objectives, tables.NEW_OBJECTIVE, row)
                self._attribute(number, f"{name} ({mode})", value)


def _rows(metrics: Mapping[str, float]) -> float:
    """Return on how many rows a head was fitted and scored, counted together."""
    return sum(metrics.get(name, 0.0) for name in ROWS)
