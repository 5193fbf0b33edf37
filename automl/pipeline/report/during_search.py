"""Write the report from time to time while the search runs."""

from __future__ import annotations

import time
from collections.abc import Callable

from automl.records import Observer, PassedOn, TrialEvent

EVERY = 120.0  # seconds between two reports, at least
MOST_SHARE = 0.01  # of the time since the search began may go into reports


class ReportsDuringSearch(PassedOn):
    """An observer that passes everything on, and calls `write` when a report is due.

    `write` is called on the driver, after an event of a trial: every two minutes at most, and only while all reports
    together take 1 % of the search's time. The longest of them is the forecast for the next one.
    """

    def __init__(
        self, observer: Observer, write: Callable[[], object], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(observer)
        self._write, self._clock = write, clock
        self._began = self._last = clock()
        self._taken = self._longest = 0.0

    def trial(self, event: TrialEvent) -> None:
        """Pass on, then write a report if one is due."""
        super().trial(event)
        now = self._clock()
        if now - self._last < EVERY or self._taken + self._longest > MOST_SHARE * (now - self._began):
            return
        self._write()
        self._last = self._clock()
        self._taken += self._last - now
        self._longest = max(self._longest, self._last - now)
