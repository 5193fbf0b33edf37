"""Counting failed trials: when they end the search, and with which message."""

from __future__ import annotations

from collections import Counter

from automl.errors import TrialError
from automl.records import OnFailure
from automl.search.reasons import Reason
from automl.terminal.printable import printable


class Failures:
    """The causes of failed trials: all until the first success, and with STOP those in a row."""

    def __init__(self, on_failure: OnFailure, most: int) -> None:
        """`most` failures end the search."""
        self._causes: list[Reason] = []
        self._stops = on_failure == OnFailure.STOP
        self._most = most
        self._succeeded = False

    def success(self) -> None:
        """Count a trial that did not fail."""
        self._succeeded = True
        if self._stops:
            self._causes.clear()

    def count(self, reason: Reason) -> TrialError | None:
        """Count a failed trial. Return the error that ends the search, if this was one failure too many."""
        self._causes.append(reason)
        count = len(self._causes)
        if (self._succeeded and not self._stops) or count < self._most:
            return None
        several = f"{count} trials in a row" if self._succeeded else f"the first {count} trials all"
        which = several if count > 1 else "a trial" if self._succeeded else "the first trial"
        return TrialError(f"{which} failed, {self.common_cause()}: fix the cause and start again")

    def common_cause(self) -> str:
        """Return the most frequent cause, for an error message; "" if no trial failed."""
        if not self._causes:
            return ""
        cause, count = Counter(self._causes).most_common(1)[0]
        return printable(f"{count} of {len(self._causes)} with {cause}")
