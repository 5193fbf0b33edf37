"""Which trial is the best so far."""

from __future__ import annotations

import math
from collections.abc import Callable

from automl.records import Mode, Report

LATE = 3  # the leader may have been trained thrice as long: rungs are that far apart


class Incumbent:
    """The best trial, by the last report of each that has a finite value.

    Trials stand at different rounds. The longer trained one is preferred: a trial with fewer rounds takes
    over only if its value, reached with less training, is already better than what the longer trained one has
    now; equal values go to more rounds, then to the earlier trial. A failed trial drops out. Only a trial's
    latest value counts, not its luckiest: it is what training it so far is worth.

    Trials that are trusted, as the portfolio's are, which were good on other data, stand in an order: one that leads
    gives way to the earliest that was no more than `noise(value)`, a standard error, behind it where the two were last
    compared. That must not be long ago: a third of the leader's rounds. It is the one standard error rule of Breiman et
    al. ("Classification and Regression Trees", 1984, section 3.4.3).
    """

    def __init__(self, mode: Mode, noise: Callable[[float], float] | None = None) -> None:
        self._sign = -1.0 if mode == "max" else 1.0
        self._noise = noise
        self._standing: dict[int, Report] = {}
        self._trusted: dict[int, dict[int, float]] = {}  # their values by round
        self.leader: Report | None = None  # by the values alone

    @property
    def best(self) -> Report | None:
        """What the best trial so far reported."""
        leader = self.leader
        if leader is None or self._noise is None or leader.trial not in self._trusted:
            return leader
        ahead = self._trusted[leader.trial]
        for trial, values in self._trusted.items():
            common = max(values.keys() & ahead.keys(), default=0)
            if trial not in self._standing or LATE * common < leader.round:
                continue
            if self._sign * (values[common] - ahead[common]) <= self._noise(ahead[common]):
                return self._standing[trial]
        return leader

    @property
    def yardstick(self) -> int | None:
        """The first trusted trial that has not failed; None where an order says nothing."""
        return None if self._noise is None else next(iter(self._trusted), None)

    def began(self, trial: int, *, trusted: bool) -> None:
        """`trusted`: the trial's configuration was good on other data, though less so than those that began before."""
        if trusted:
            self._trusted[trial] = {}

    def report(self, report: Report) -> None:
        """Takes in a value; NaN and infinities change nothing."""
        if not math.isfinite(report.value):
            return
        self._standing[report.trial] = report
        if report.trial in self._trusted:
            self._trusted[report.trial][report.round] = report.value
        if self.leader is None or self._key(report) < self._key(self.leader):
            self.leader = report
        elif self.leader.trial == report.trial:
            self._search()

    def drop(self, trial: int) -> None:
        """The trial failed."""
        self._standing.pop(trial, None)
        self._trusted.pop(trial, None)
        if self.leader is not None and self.leader.trial == trial:
            self._search()

    def is_best(self, trial: int) -> bool:
        """Whether the trial is the incumbent."""
        best = self.best
        return best is not None and best.trial == trial

    def _search(self) -> None:
        self.leader = min(self._standing.values(), key=self._key, default=None)

    def _key(self, report: Report) -> tuple[float, int, int]:
        return (self._sign * report.value, -report.round, report.trial)
