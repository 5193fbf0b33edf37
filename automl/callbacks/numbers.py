"""What trackers log: of a round, of a configuration and of a result."""

from __future__ import annotations

import math
from typing import Any

from automl.callbacks.base import StudyInfo
from automl.records import Config, Report


def report_numbers(study: StudyInfo, report: Report) -> dict[str, float]:
    """Return what a tracker logs of a round: the metric as `val_METRIC`, the seconds, and the other finite metrics."""
    numbers = {f"val_{study.metric}": report.value, "seconds": report.seconds, **report.metrics}
    return {name: float(value) for name, value in numbers.items() if math.isfinite(value)}


def config_values(config: Config) -> dict[str, str | float | bool]:
    """Return a configuration for a tracker: numbers and switches as they are, all else as text."""
    return {name: value if isinstance(value, (int, float)) else str(value) for name, value in config.items()}


def result_numbers(result: Any) -> dict[str, float]:
    """Return the scores of a result: validation and holdout of `fit`, the best value of `tune`."""
    if hasattr(result, "holdout"):
        found = {f"val_{result.metric}": result.val_score}
        found |= {f"holdout_{name}": interval.value for name, interval in result.holdout.items()}
    else:
        found = {"best_value": result.best_value}
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}
