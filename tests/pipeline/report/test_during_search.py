"""Reports during a search come rarely, and take a small part of its time."""

from __future__ import annotations

from automl.pipeline.report.during_search import EVERY, MOST_SHARE, ReportsDuringSearch
from automl.records import Silent, TrialEvent, TrialState


class Seen(Silent):
    def __init__(self) -> None:
        self.events = 0

    def trial(self, event: TrialEvent) -> None:
        self.events += 1


def reports(cost: float, seconds: float, step: float = 5.0) -> list[float]:
    """The moments of the reports of a search in which something happens every `step` seconds."""
    now, written, seen = [0.0], list[float](), Seen()

    def write() -> None:
        written.append(now[0])
        now[0] += cost

    observer = ReportsDuringSearch(seen, write, clock=lambda: now[0])
    events = 0
    while now[0] < seconds:
        now[0] += step
        observer.trial(TrialEvent(1, TrialState.RUNNING, {}, 1, 0.5, now[0]))
        events += 1
    assert seen.events == events  # all are passed on
    return written


def test_cheap_reports_come_every_two_minutes() -> None:
    moments = reports(0.01, 900.0)
    assert len(moments) == 7
    assert all(later - earlier >= EVERY for earlier, later in zip(moments, moments[1:], strict=False))


def test_costly_reports_take_one_percent_after_the_first() -> None:
    moments = reports(10.0, 20_000.0)
    assert 10.0 * (len(moments) - 1) <= MOST_SHARE * 20_000.0
    assert len(moments) >= 10


def test_short_search_writes_none() -> None:
    assert reports(0.01, 110.0) == []
