"""The log of a study: what happened to which trial and why, in order."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from sqlalchemy import Connection, select

from automl.records import TrialState, rows_of
from automl.search.reasons import Reason
from automl.search.storage.sql import tables

SEARCH = "search"  # the action of a search that begins


@dataclass(frozen=True)
class LogEntry:
    """A line of the log that is to be written.

    `action` is that of a decision, or "start", "resume" and, for a whole search, "search". `round` is the trial's last
    one. `rung` is where the decision compared, or where a trial that starts or resumes is first compared.
    """

    action: str
    round: int
    reason: Reason
    rung: int | None = None
    state: str = TrialState.RUNNING.value


@dataclass(frozen=True)
class Event:
    """A line of a study's log (see `LogEntry`). `value`, `seconds` and `rows` are those of its round (see `Report`)."""

    action: str
    trial: int
    round: int
    state: str
    rung: int | None
    reason: Reason
    time: float
    value: float = math.nan
    seconds: float = 0.0
    rows: int = 0


def read_events(connection: Connection, study_id: int) -> list[Event]:
    """Return the log of a study. A round that ran twice has its second value."""
    reports = {
        (row["trial"], row["round"]): row
        for row in connection.execute(
            select(tables.reports).where(tables.reports.c.study_id == study_id)
        ).mappings()
    }
    log = select(tables.decisions).where(tables.decisions.c.study_id == study_id)
    events = []
    for row in connection.execute(log.order_by(tables.decisions.c.id)).mappings():
        report = reports.get((row["trial"], row["round"]))
        known = report is not None and report["value"] is not None
        events.append(
            Event(
                row["action"],
                row["trial"],
                row["round"],
                row["state"],
                row["rung"],
                Reason.from_json(row["reason"]),
                row["time"],
                value=report["value"] if report is not None and known else math.nan,
                seconds=report["seconds"] if report is not None else 0.0,
                rows=0 if report is None else rows_of(json.loads(report["metrics"])),
            )
        )
    return events
