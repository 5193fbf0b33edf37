"""What a validation score is worth: its standard error on so many rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from automl.config.metrics import METRICS
from automl.records import DatasetInfo

# The mean absolute deviation of a normal variable's absolute value from its mean, as a share of that mean.
_HALF_NORMAL = math.sqrt(math.pi / 2.0 - 1.0)
POINT = 0.01


def standard_error(metric: str, value: float, info: DatasetInfo, n: int) -> float:
    """Return the standard error of a value of `metric` on `n` rows that are drawn as those of `info` are.

    It follows from the value, the number of rows and the shares of the classes alone, so that a recorded study can be
    judged again without its predictions. Shares of rows: binomial, with one success and one failure more, so that 0
    and 1 are not certain (Agresti and Coull 1998, "Approximate is better than exact"). Means over classes or labels:
    with all equally hard. f1 as balanced accuracy. Cohen's kappa: Cohen 1960. ROC AUC: Hanley and McNeil 1982. Average
    precision: the binomial error on the positive rows (Boyd, Eng and Page 2013). Errors of a regression: as if they
    were normal. Log loss: as if the losses of rows were exponential, so that they spread as much as their mean.
    NaN for a value that is not finite. Raises KeyError for an unknown metric.
    """
    if not math.isfinite(value):
        return math.nan
    return _ERRORS[metric](value, info, max(1, n))


def allowed_loss(metric: str, value: float, error: float, most: float | None = None) -> float:
    """Return how much worse a smaller or faster model may be than one with this `value`: `most`, if that is given.

    Else one point (`one_point`), or half of the standard `error` of the value if that is more. NaN counts as none.
    """
    if most is not None:
        return most
    least = one_point(metric, value)
    return max(least, error / 2.0) if math.isfinite(error) else least


def one_point(metric: str, value: float) -> float:
    """Return one point of a metric: 0.01, or of an error one percent of its value.

    >>> one_point("accuracy", 0.9), one_point("mae", -3.0)
    (0.01, 0.03)
    """
    return POINT if METRICS[metric].mode == "max" else POINT * abs(value)


def _share(p: float, n: float) -> float:
    """Return the standard error of a share `p` of `n` rows."""
    smoothed = (min(1.0, max(0.0, p)) * n + 1.0) / (n + 2.0)
    return math.sqrt(smoothed * (1.0 - smoothed) / n)


def _mean(errors: Sequence[float]) -> float:
    """Return the standard error of the mean of independent values with these errors."""
    return math.hypot(*errors) / max(1, len(errors))


def _positives(info: DatasetInfo, n: int) -> list[float]:
    """Return the expected rows of each class, or with each label, among `n`; at least one, none for absent ones."""
    return [max(1.0, n * count / max(1, info.n_train)) for count in info.class_counts if count]


def _accuracy(value: float, info: DatasetInfo, n: int) -> float:
    return _share(value, n)


def _recalls(value: float, info: DatasetInfo, n: int) -> float:
    return _mean([_share(value, rows) for rows in _positives(info, n)])


def _kappa(value: float, info: DatasetInfo, n: int) -> float:
    by_chance = min(1.0 - 1e-6, sum((count / max(1, info.n_train)) ** 2 for count in info.class_counts))
    return _share(value * (1.0 - by_chance) + by_chance, n) / (1.0 - by_chance)


def _roc_auc(value: float, info: DatasetInfo, n: int) -> float:
    return _mean([_area(value, rows, max(1.0, n - rows)) for rows in _positives(info, n)])


def _area(area: float, positive: float, negative: float) -> float:
    """Return Hanley and McNeil's standard error of an area under a ROC curve."""
    a = min(1.0, max(0.0, area))
    one, two = a / (2.0 - a), 2.0 * a * a / (1.0 + a)
    spread = a * (1.0 - a) + (positive - 1.0) * (one - a * a) + (negative - 1.0) * (two - a * a)
    least = 1.0 / (4.0 * positive * negative)  # of an area of exactly 0 or 1
    return math.sqrt(max(spread / (positive * negative), least / max(positive, negative)))


def _log_loss(value: float, info: DatasetInfo, n: int) -> float:
    return abs(value) / math.sqrt(n)


def _mae(value: float, info: DatasetInfo, n: int) -> float:
    return abs(value) * _HALF_NORMAL / math.sqrt(n)


def _rmse(value: float, info: DatasetInfo, n: int) -> float:
    return abs(value) / math.sqrt(2.0 * n)


def _r2(value: float, info: DatasetInfo, n: int) -> float:
    return (1.0 - value) * math.sqrt(2.0 / n)


_ERRORS: dict[str, Callable[[float, DatasetInfo, int], float]] = {
    "accuracy": _accuracy,
    "top5_accuracy": _accuracy,
    "balanced_accuracy": _recalls,
    "f1": _recalls,
    "average_precision": _recalls,
    "cohen_kappa": _kappa,
    "roc_auc": _roc_auc,
    "log_loss": _log_loss,
    "mae": _mae,
    "rmse": _rmse,
    "r2": _r2,
}
