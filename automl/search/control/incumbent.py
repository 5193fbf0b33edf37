"""The incumbent: the best trial so far."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from automl.records import Mode, Report, TrialState
from automl.search.policy import Significance

if TYPE_CHECKING:
    from automl.search.storage.reader import StoredTrial

COMPARABLE = 3  # the leader may have trained three times as long: rungs are that far apart


class Incumbent:
    """Keeps the best trial, by the last report of each that has a finite value.

    Trials stand at different rounds. One with fewer rounds takes over only if its value is already better than what
    the longer trained one has now. Equal values go to more rounds, then to the earlier trial: one has to be named. A
    failed trial drops out. Only a trial's latest value counts, not its best: that is what its weights are worth now. So
    the best value can fall as its trial trains on.

    A value from a part of the validation rows leads only if it is better than those from more rows by more than its
    standard error: else the best of these is the best trial. So a lucky score of a few rows, such as the deadline
    allows, replaces nothing.

    Trials of the portfolio are `trusted`, because they were good on other data, in the portfolio's order. A trusted
    leader gives way to the earliest trusted trial that was at most one standard error behind it at the last
    round where both were compared, if that was after a third of the leader's rounds. This is the one standard
    error rule of Breiman et al. ("Classification and Regression Trees", 1984, section 3.4.3).
    """

    def __init__(self, mode: Mode, significance: Significance | None = None) -> None:
        self._sign = -1.0 if mode == "max" else 1.0
        self._significance = significance
        self._latest: dict[int, Report] = {}
        self._trusted: dict[int, dict[int, Report]] = {}  # by round
        self._most_rows = 0
        self.leader: Report | None = None  # by the values alone
        self._led: dict[int, None] = {}

    @property
    def best(self) -> Report | None:
        """What the best trial so far reported."""
        leader, known = self._surest(), self._significance
        if leader is None or known is None or leader.trial not in self._trusted:
            return leader
        leading = self._trusted[leader.trial]
        for trial, reports in self._trusted.items():
            common = max(reports.keys() & leading.keys(), default=0)
            if trial not in self._latest or COMPARABLE * common < leader.round:
                continue
            if not self._is_worse(reports[common], leading[common], known):
                return self._latest[trial]
        return leader

    @property
    def reference(self) -> int | None:
        """The first trusted trial that has not failed; None where the order of the portfolio does not count."""
        return None if self._significance is None else next(iter(self._trusted), None)

    def began(self, trial: int, *, trusted: bool) -> None:
        """Take in a new trial. `trusted`: it is from the portfolio."""
        if trusted:
            self._trusted[trial] = {}

    def report(self, report: Report) -> None:
        """Take in a value. NaN and infinities change nothing."""
        if not math.isfinite(report.value):
            return
        self._latest[report.trial] = report
        if report.trial in self._trusted:
            self._trusted[report.trial][report.round] = report
        if self._significance is not None:
            self._most_rows = max(self._most_rows, self._significance.scored(report.rows))
        if self.leader is None or self._key(report) < self._key(self.leader):
            self.leader = report
        elif self.leader.trial == report.trial:
            self._find_leader()
        self._led |= {one.trial: None for one in (self.leader, self.best) if one is not None}

    def restore(self, past: Iterable[StoredTrial]) -> None:
        """Take in the rounds of trials of earlier runs, in the order in which they ended, but of failed ones none."""
        alive = (trial for trial in past if trial.state is not TrialState.FAILED)
        timed = [pair for trial in alive for pair in zip(trial.report_times, trial.reports, strict=True)]
        for _, report in sorted(timed, key=lambda pair: pair[0]):
            self.report(report)

    def drop(self, trial: int) -> None:
        """Forget a trial that failed."""
        self._latest.pop(trial, None)
        self._trusted.pop(trial, None)
        self._led.pop(trial, None)
        if self.leader is not None and self.leader.trial == trial:
            self._find_leader()

    @property
    def led(self) -> list[int]:
        """The trials that were the best at some time, or had the best value, in the order in which they became it."""
        return list(self._led)

    def has_led(self, trial: int) -> bool:
        """Return whether the trial is one of `led`."""
        return trial in self._led

    def is_best(self, trial: int) -> bool:
        """Return whether the trial is the incumbent."""
        best = self.best
        return best is not None and best.trial == trial

    def _surest(self) -> Report | None:
        """Return the leader, or in its place the best that it does not beat beyond the noise of its fewer rows."""
        best, known = self.leader, self._significance
        if best is None or known is None:
            return best
        while (rows := known.scored(best.rows)) < self._most_rows:
            surer = [
                report
                for report in self._latest.values()
                if known.scored(report.rows) > rows and not self._is_worse(report, best, known)
            ]
            if not surer:
                break
            best = min(surer, key=self._key)
        return best

    def _is_worse(self, report: Report, other: Report, known: Significance) -> bool:
        """Return whether a value is worse than another by more than the standard error of that, on the fewer rows."""
        rows = min(known.scored(report.rows), known.scored(other.rows))
        return self._sign * (report.value - other.value) > known.noise(other.value, rows)

    def _find_leader(self) -> None:
        self.leader = min(self._latest.values(), key=self._key, default=None)

    def _key(self, report: Report) -> tuple[float, int, int]:
        return (self._sign * report.value, -report.round, report.trial)
