"""The trials that were the best at some time."""

from __future__ import annotations

from automl.review.report.history import History
from automl.search.control.incumbent import Incumbent


def leaders_of(history: History) -> list[int]:
    """Return the trainings that had the best latest value, in the order in which they first had it."""
    incumbent = Incumbent(history.mode)
    incumbent.restore(history.trials)
    return incumbent.led
