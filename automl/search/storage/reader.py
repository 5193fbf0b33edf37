"""Reading a study: its trials with all their reports."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import json_to_distribution
from optuna.trial import TrialState as OptunaState
from sqlalchemy import Connection, Table, select

from automl.documents.json_file import parse_json
from automl.records import Config, Report, TrialState
from automl.search.reasons import Reason
from automl.search.storage.kinds import HEAD, kind_of
from automl.search.storage.sql import optuna_tables as rows
from automl.search.storage.sql import tables
from automl.search.storage.summary import epochs_of

STATES = {
    OptunaState.RUNNING: TrialState.RUNNING,
    OptunaState.WAITING: TrialState.PAUSED,
    OptunaState.COMPLETE: TrialState.COMPLETE,
    OptunaState.PRUNED: TrialState.PRUNED,
    OptunaState.FAIL: TrialState.FAILED,
}


@dataclass(frozen=True)
class StoredTrial:
    """A trial as the database has it. Times are seconds since the study's first search began.

    `checkpoint` is the round whose state is on disk, 0 if there is none. `report_times` has one entry for each report.
    `reason` is that of its last decision, None before the first. `interrupted`: the search ended while it ran, so it
    continues from its checkpoint; other PAUSED and UNFINISHED trials stand at a rung. `first_rung` is the round of its
    first comparison, as planned when it began.
    """

    number: int
    state: TrialState
    config: Config
    origin: str
    reports: tuple[Report, ...]
    report_times: tuple[float, ...]
    checkpoint: int
    reason: Reason | None
    interrupted: bool
    started: float | None
    ended: float | None
    first_rung: int | None = None

    @property
    def is_head(self) -> bool:
        """Whether it is a linear head: complete before the search, with one report, which has the round 0."""
        return self.origin == HEAD

    @property
    def kind(self) -> str:
        """The kind of model that it is (see `kind_of`)."""
        return kind_of(self.config, self.origin)

    @property
    def rounds(self) -> int:
        """The last reported round, 0 if there is none."""
        return self.reports[-1].round if self.reports else 0

    @property
    def epochs(self) -> float | None:
        """The passes through the training rows up to the last round, None if it did not report them."""
        return epochs_of(self.metrics)

    @property
    def metrics(self) -> Mapping[str, float]:
        """The metrics of the last round."""
        return self.reports[-1].metrics if self.reports else {}

    @property
    def value(self) -> float:
        """The value of the last round; NaN for a failed trial and one without reports."""
        if self.state is TrialState.FAILED or not self.reports:
            return math.nan
        return self.reports[-1].value

    def objective(self, name: str) -> float | None:
        """Return a number of the last round beside the metric, None unless it is finite."""
        found = self.metrics.get(name, math.nan)
        return found if math.isfinite(found) else None

    @property
    def seconds(self) -> float:
        """The seconds of all rounds."""
        return math.fsum(report.seconds for report in self.reports)


def read_trials(connection: Connection, study_id: int) -> list[StoredTrial]:
    """Return all trials of a study, by number. Optuna's storage would take several times as long."""
    query = select(rows.TRIALS.c.number, rows.TRIALS.c.trial_id, rows.TRIALS.c.state)
    query = query.where(rows.TRIALS.c.study_id == study_id).order_by(rows.TRIALS.c.number)
    known = connection.execute(query).all()
    configs = {row["trial"]: row for row in _rows(connection, tables.trials, study_id)}
    checkpoints = {row["trial"]: row["round"] for row in _rows(connection, tables.checkpoints, study_id)}
    log = _rows(connection, tables.decisions, study_id, "id")
    decisions = {row["trial"]: row for row in log}
    # What an unfinished trial did before the search ended.
    before = {row["trial"]: row for row in log if row["state"] != TrialState.UNFINISHED}
    firsts = {row["trial"]: row["rung"] for row in log if row["action"] == "start"}
    reports, runs = defaultdict(list), defaultdict(list)
    for row in _rows(connection, tables.reports, study_id, "round"):
        reports[row["trial"]].append(row)
    for row in _rows(connection, tables.runs, study_id, "id"):
        runs[row["trial"]].append(row)
    found = []
    for number, trial_id, state in known:
        own, last = configs.get(number), decisions.get(number)
        ends = [row["ended"] for row in runs[number]]
        found.append(
            StoredTrial(
                number=number,
                state=_state(state, last),
                config=parse_json(own["config"]) if own else _params(connection, trial_id),
                origin=own["origin"] if own else "",
                reports=tuple(_report(row) for row in reports[number]),
                report_times=tuple(row["time"] for row in reports[number]),
                checkpoint=checkpoints.get(number, 0),
                reason=Reason.from_json(last["reason"]) if last else None,
                interrupted=_interrupted(_state(state, last), before.get(number)),
                started=runs[number][0]["started"] if runs[number] else None,
                ended=max((end for end in ends if end is not None), default=None),
                first_rung=firsts.get(number),
            )
        )
    return found


def _params(connection: Connection, trial_id: int) -> Config:
    """Return the parameters of a trial without a row of ours: an earlier version died between two writes."""
    query = select(rows.PARAMS).where(rows.PARAMS.c.trial_id == trial_id)
    return {
        row["param_name"]: json_to_distribution(row["distribution_json"]).to_external_repr(row["param_value"])
        for row in connection.execute(query).mappings()
    }


def _rows(connection: Connection, table: Table, study_id: int, order: str = "trial") -> Sequence[Any]:
    query = select(table).where(table.c.study_id == study_id).order_by(table.c[order])
    return connection.execute(query).mappings().all()


def _state(state: OptunaState, last: Any) -> TrialState:
    """Return a trial's state. Optuna has none for unfinished trials, but our log has."""
    if state is OptunaState.PRUNED and last is not None and last["state"] == TrialState.UNFINISHED:
        return TrialState.UNFINISHED
    return STATES[state]


def _interrupted(state: TrialState, before: Any) -> bool:
    """Return whether the search ended while the trial ran. A policy's pause has a rung, that of a stop has none."""
    if state is TrialState.UNFINISHED:
        return before is None or before["state"] != TrialState.PAUSED or before["rung"] is None
    return state is TrialState.RUNNING or (
        state is TrialState.PAUSED and (before is None or before["rung"] is None)
    )


def _report(row: Any) -> Report:
    value = math.nan if row["value"] is None else float(row["value"])  # SQLite keeps any type in any column
    return Report(row["trial"], int(row["round"]), value, float(row["seconds"]), parse_json(row["metrics"]))
