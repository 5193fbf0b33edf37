"""When trials really began and last reported, which Optuna's own times do not say once a trial was paused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, text

_MOMENTS = text(
    "SELECT trial, MIN(at), MAX(at) FROM automl_decisions WHERE study_id = :study AND trial >= 0 GROUP BY trial"
)
_REPORTS = text(
    "SELECT trial, epoch, value, seconds FROM automl_reports WHERE study_id = :study ORDER BY time, trial, epoch"
)


@dataclass(frozen=True)
class Moments:
    """The first and the last decision about a trial, in UTC: its start, and its last report, pause or end."""

    first: datetime
    last: datetime


@dataclass(frozen=True)
class Point:
    """A round of a trial. `value` is None if it was no number."""

    trial: int
    round: int
    value: float | None
    seconds: float


def read_moments(connection: Connection, study_id: int) -> dict[int, Moments]:
    """Return the moments of the trials of a study, by number. Linear heads have none."""
    rows = connection.execute(_MOMENTS, {"study": study_id})
    return {trial: Moments(_moment(first), _moment(last)) for trial, first, last in rows}


def read_points(connection: Connection, study_id: int) -> list[Point]:
    """Return all rounds of a study in the order in which they were reported."""
    return [Point(*row) for row in connection.execute(_REPORTS, {"study": study_id})]


def _moment(at: str) -> datetime:
    return datetime.fromisoformat(at).astimezone(UTC)
