"""The log of a study: what was done with which trial and why, in the order in which it happened."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sqlalchemy import Connection, select

from automl.records import TrialState
from automl.search.reasons import Reason
from automl.search.storage.sql import tables

SEARCH = "search"  # a search begins: the study's first, or one that continues it


@dataclass(frozen=True)
class LogEntry:
    """A line of the log: what was done with a trial that had done so many rounds, and why.

    `action` is that of a decision, or "start", "resume" and, for a whole search, "search"; `rung` is where a decision
    compared, or where a trial that begins or goes on is compared first.
    """

    action: str
    round: int
    reason: Reason
    rung: int | None = None
    state: str = TrialState.RUNNING.value


@dataclass(frozen=True)
class Event:
    """A line of a study's log, in the order in which things happened; see `LogEntry`. `value` is that of the round."""

    action: str
    trial: int
    round: int
    state: str
    rung: int | None
    reason: Reason
    time: float
    value: float = math.nan
    seconds: float = 0.0


def read_events(connection: Connection, study_id: int) -> list[Event]:
    """The log of one study. Of a round that was run twice only the second value is known."""
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
            )
        )
    return events
