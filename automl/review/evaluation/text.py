"""An evaluation as text: lines and tables that a terminal of 80 characters holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from automl.final.evaluation.record import Calibration, ClassScore, Evaluation, MetricScore, RiskPoint
from automl.final.evaluation.words import span, weakest
from automl.review.describe import score

MOST_CLASSES, MOST_PAIRS, LARGEST_MATRIX = 10, 5, 10
ENOUGH = 0.95  # share of right answers for which the text names the coverage


@dataclass(frozen=True)
class Table:
    """A table of texts under a `title`; `right` names the columns that are aligned to the right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[str, ...] = ()
    note: str = ""


def tables(evaluation: Evaluation, *, everything: bool = False) -> list[Table]:
    """Return the tables of an evaluation. Without `everything`, the ten worst classes stand for many."""
    found = [_metrics(evaluation.metrics)]
    if evaluation.task == "regression":
        return [*found, *_regression(evaluation)]
    found.append(_classes(evaluation, everything))
    if evaluation.confusion and len(evaluation.classes) <= LARGEST_MATRIX:
        found.append(_matrix(evaluation))
    pairs = evaluation.confused(len(evaluation.classes) ** 2 if everything else MOST_PAIRS)
    if pairs:
        rows = tuple((p.label, p.predicted, f"{p.count:,}", f"{p.share:.1%}") for p in pairs)
        columns = ("class", "taken for", "images", "of the class")
        found.append(Table("Most confused", columns, rows, columns[2:]))
    return found


def sentences(evaluation: Evaluation) -> list[str]:
    """Return what an evaluation says besides its tables."""
    found = [weakest(evaluation)]
    if evaluation.calibration is not None:
        found.append(_calibration(evaluation.calibration, labels=evaluation.task == "multilabel"))
    if evaluation.risk_coverage:
        found.append(_coverage(evaluation.risk_coverage))
    return [text for text in found if text]


def metric_rows(metrics: Mapping[str, MetricScore]) -> tuple[tuple[str, ...], ...]:
    """Return name, value, interval and trivial answer of each metric."""
    return tuple(
        (
            name,
            score(each.value),
            f"{score(each.low)} to {score(each.high)}",
            f"{score(each.trivial)} ({each.trivial_words})",
        )
        for name, each in metrics.items()
    )


def share(value: float | None) -> str:
    """Return a share with three decimals; a dash where it is not defined."""
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"


def class_cells(row: ClassScore) -> tuple[str, ...]:
    """Return the cells of a class or label; those of a label end in its average precision and threshold."""
    cells = (
        row.label,
        share(row.precision),
        share(row.recall),
        share(row.f1),
        f"{row.support:,}",
        f"{row.predicted:,}",
    )
    if row.threshold is None:
        return cells
    return (*cells, share(row.average_precision), f"{row.threshold:g}")


def class_columns(evaluation: Evaluation) -> tuple[str, ...]:
    """Return the names of the cells of `class_cells`."""
    if evaluation.task == "classification":
        return ("class", "precision", "recall", "f1", "images", "predicted")
    return ("label", "precision", "recall", "f1", "images", "predicted", "ap", "from")


def _metrics(metrics: Mapping[str, MetricScore]) -> Table:
    columns = ("metric", "value", "95 % interval", "trivial answer")
    return Table("", columns, metric_rows(metrics), ("value",))


def _classes(evaluation: Evaluation, everything: bool) -> Table:
    columns = class_columns(evaluation)
    many = len(evaluation.per_class) > MOST_CLASSES and not everything
    shown = evaluation.worst(MOST_CLASSES) if many else evaluation.per_class
    noun = "classes" if evaluation.task == "classification" else "labels"
    note = f"the worst {len(shown)} of {len(evaluation.per_class):,} {noun}; --all lists all" if many else ""
    return Table("", columns, tuple(map(class_cells, shown)), columns[1:], note)


def _matrix(evaluation: Evaluation) -> Table:
    counts = evaluation.matrix()
    numbers = tuple(str(k + 1) for k in range(len(counts)))
    rows = tuple(
        (f"{k + 1} {name}", *(str(count) if count else "." for count in row))
        for k, (name, row) in enumerate(zip(evaluation.classes, counts.tolist(), strict=True))
    )
    return Table(
        "Confusion: rows are true classes, columns predicted ones", ("class", *numbers), rows, numbers
    )


def _regression(evaluation: Evaluation) -> list[Table]:
    found = []
    if len(evaluation.targets) > 1:
        columns = ("target", "r2", "mae", "rmse", "bias")
        rows = tuple(
            (t.target, score(t.r2), f"{t.mae:.4g}", f"{t.rmse:.4g}", f"{t.bias:+.4g}")
            for t in evaluation.targets
        )
        found.append(Table("", columns, rows, columns[1:]))
    for target in evaluation.targets:
        parts = ("true value", "images", "mae", "bias")
        cells = tuple(
            (span(part), f"{part.n:,}", f"{part.mae:.4g}", f"{part.bias:+.4g}") for part in target.bins
        )
        found.append(Table(f"Errors of {target.target} by its size", parts, cells, parts[1:]))
    return found


def _calibration(said: Calibration, *, labels: bool) -> str:
    total = sum(part.n for part in said.bins)
    confidence = sum(part.n * part.confidence for part in said.bins) / total
    right = sum(part.n * part.right for part in said.bins) / total
    shares = f"The mean confidence is {confidence:.3f}, and {right:.3f} are right."
    if labels:
        shares = (
            f"The mean probability of a label is {confidence:.3f}, and {right:.3f} of the labels are there."
        )
    return f"Calibration: ECE {said.ece:.3f}, Brier score {said.brier:.3f}. {shares}"


def _coverage(points: Sequence[RiskPoint]) -> str:
    last = points[-1]
    if 1.0 - last.risk >= ENOUGH:
        return ""
    good = [point for point in points if 1.0 - point.risk >= ENOUGH]
    if not good:
        return f"Even the surest {points[0].coverage:.0%} of the answers are right in less than {ENOUGH:.0%} of cases."
    best = good[-1]
    return (
        f"Of these images, the {best.coverage:.0%} with a confidence of {best.confidence:.3f} or more are right in "
        f"{1.0 - best.risk:.1%} of cases."
    )
