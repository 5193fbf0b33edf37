"""A study as its database has it at one moment, with what the dashboard says beyond Optuna's states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from sqlalchemy import Connection

from automl.records import Mode, Report, TrialRow, TrialState
from automl.review.studies import StudyFolder
from automl.review.tables import ranked
from automl.review.trials import with_weights
from automl.search.control.incumbent import Incumbent
from automl.search.storage.kinds import HEADS
from automl.search.storage.sql import optuna_tables as rows
from automl.search.storage.sql.moments import Moments, Point, read_moments, read_points
from automl.search.storage.summary import summary_of


@dataclass(frozen=True)
class Leader:
    """A trial that became the best, at a round and with a value."""

    trial: int
    round: int
    value: float


@dataclass(frozen=True)
class Snapshot:
    """A study at one moment.

    `trials` are those of the leaderboard, by number, `ids` Optuna's ids of them. `points` are all rounds in the order
    of their reports. `folder` is the study on disk, None if only its database is known.
    """

    study_id: int
    name: str
    metric: str
    mode: Mode
    trials: Mapping[int, TrialRow]
    ids: Mapping[int, int]
    moments: Mapping[int, Moments]
    points: tuple[Point, ...] = field(repr=False, default=())
    folder: StudyFolder | None = None

    @cached_property
    def best(self) -> TrialRow | None:
        """The first of the leaderboard; None before any value."""
        return next((row for row in ranked(self.trials.values(), self.mode) if row.value is not None), None)

    @cached_property
    def leaders(self) -> tuple[Leader, ...]:
        """The trainings that were the best, in the order in which they became it."""
        found: list[Leader] = []
        incumbent = Incumbent(self.mode)
        for point in self.points:
            row = self.trials.get(point.trial)
            if row is None or point.value is None or row.state is TrialState.FAILED or row.kind in HEADS:
                continue
            incumbent.report(Report(point.trial, point.round, point.value, point.seconds))
            best = incumbent.best
            if best is not None and (not found or found[-1].trial != best.trial):
                found.append(Leader(best.trial, best.round, best.value))
        return tuple(found)

    @cached_property
    def delivered(self) -> int | None:
        """The trial that the delivered model is of; None before the end."""
        from automl.review.tables import delivered_of

        result = None if self.folder is None else self.folder.result
        if result is None:
            return None
        return delivered_of(result.get("retrain", {}), result.get("best", {}).get("trial")).trial

    @cached_property
    def noted(self) -> list[int]:
        """The trials with a note and artifacts: those that were the best at a time, and the delivered one."""
        numbers = {leader.trial for leader in self.leaders}
        if self.best is not None:
            numbers.add(self.best.trial)
        if self.delivered is not None and self.delivered in self.trials:
            numbers.add(self.delivered)
        return sorted(numbers)

    def curve(self, trial: int) -> list[tuple[int, float]]:
        """Return round and value of each round of a trial; a round that ran twice has its last value."""
        found = {
            point.round: point.value
            for point in self.points
            if point.trial == trial and point.value is not None
        }
        return sorted(found.items())


def read_snapshot(
    connection: Connection, study_id: int, name: str, folder: StudyFolder | None
) -> Snapshot | None:
    """Return the study; None if its tables are not those of this version, or of automl at all."""
    summary = summary_of(connection, name)
    if summary is None:
        return None
    begun_with = {} if folder is None else folder.plan.get("begun_with", {})
    return Snapshot(
        study_id,
        name,
        summary.metric or ("" if folder is None else folder.metric),
        summary.mode,
        _by_number(with_weights(summary.trials, begun_with)),
        rows.trial_ids(connection, study_id),
        read_moments(connection, study_id),
        tuple(read_points(connection, study_id)),
        folder,
    )


def _by_number(trials: Iterable[TrialRow]) -> dict[int, TrialRow]:
    return {row.trial: row for row in trials}
