"""Counting failures: when a search should end because trials fail, and what to say then."""

from __future__ import annotations

from collections import Counter

from automl.errors import TrialError
from automl.records import OnFailure
from automl.search.reasons import Reason


class Failures:
    """The causes of the failed trials: all until the first success, and with STOP those in a row."""

    def __init__(self, on_failure: OnFailure, most: int) -> None:
        """`most` failures end the search."""
        self._causes: list[Reason] = []
        self._stops = on_failure == OnFailure.STOP
        self._most = most
        self._succeeded = False

    def success(self) -> None:
        """A trial came to something."""
        self._succeeded = True
        if self._stops:
            self._causes.clear()

    def count(self, reason: Reason) -> TrialError | None:
        """A trial failed; the error that ends the search, if it was one too many."""
        self._causes.append(reason)
        count = len(self._causes)
        if (self._succeeded and not self._stops) or count < self._most:
            return None
        which = f"{count} trials in a row" if self._succeeded else f"the first {count} trials all"
        return TrialError(f"{which} failed, {self.common_cause()}: mend the cause and start again")

    def common_cause(self) -> str:
        """What most of the failed trials have in common, for an error message; empty if none failed."""
        if not self._causes:
            return ""
        cause, count = Counter(self._causes).most_common(1)[0]
        return f"{count} of {len(self._causes)} with {cause}"
