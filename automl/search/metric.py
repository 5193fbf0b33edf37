"""Reading the metric out of what an objective reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

from automl.errors import TrialError


def metric_value(metrics: Mapping[str, Any], metric: str, trial: int) -> float:
    """The metric as a float, NaN and infinities included.

    Raises TrialError, naming the keys that are there, if the metric is missing or is not a number.
    """
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


def require_numbers(metrics: Mapping[str, Any], names: Iterable[str], trial: int) -> None:
    """Raises TrialError as `metric_value` for an objective that is missing or no number."""
    for name in names:
        metric_value(metrics, name, trial)


def numbers_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """All that is a number among the metrics, as floats."""
    found = ((str(key), _number(value)) for key, value in metrics.items())
    return {key: number for key, number in found if number is not None}


def _number(value: Any) -> float | None:
    """The value as a float; arrays and tensors of one element count, truth values and texts do not."""
    item = getattr(value, "item", None)
    if callable(item):
        try:
            value = item()
        except (TypeError, ValueError, RuntimeError):
            # More than one element: not a number.
            return None
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    return float(value)
