"""The metric and other numbers of an objective's report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

from automl.errors import TrialError


def metric_value(metrics: Mapping[str, Any], metric: str, trial: int, others: Iterable[str] = ()) -> float:
    """Return the metric as a float, NaN and infinities included.

    Raises TrialError if the metric or one of the `others` is missing or not a number.
    """
    for other in others:
        metric_value(metrics, other, trial)
    keys = ", ".join(sorted(map(repr, metrics))) or "nothing"
    if metric not in metrics:
        raise TrialError(
            f"each epoch must report the metric {metric!r}, but trial {trial} reported {keys}: "
            "name one of these as the metric, or report it"
        )
    number = _number(metrics[metric])
    if number is None:
        raise TrialError(
            f"the metric {metric!r} must be a number, but trial {trial} reported {metrics[metric]!r} "
            f"(among {keys})"
        )
    return number


def numbers_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return all metrics that are numbers, as floats."""
    found = ((str(key), _number(value)) for key, value in metrics.items())
    return {key: number for key, number in found if number is not None}


def _number(value: Any) -> float | None:
    """Return the value as a float, None if it is no number. Arrays and tensors of one element are numbers."""
    item = getattr(value, "item", None)
    if callable(item):
        try:
            value = item()
        except (TypeError, ValueError, RuntimeError):
            return None  # more than one element
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number or fraction that is larger than any float
        return -math.inf if value < 0.0 else math.inf
