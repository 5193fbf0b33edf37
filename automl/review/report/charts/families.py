"""The families of networks compared: each trial as a dot at its score."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from automl.records import TrialRow
from automl.review.describe import score
from automl.review.page.svg import Frame, Scale, dot, padded
from automl.review.report.history import History

MOST = 16
ROW, TOP, BOTTOM, WIDTH = 24, 26, 46, 640
LETTER, MOST_LEFT = 8.5, 280  # room for the names: for each character, where letters are largest, and at most


def by_family(history: History) -> list[tuple[str, list[TrialRow]]]:
    """Return the trials with a score by kind and family, the group with the best one first."""
    groups: dict[str, list[TrialRow]] = {}
    for row in history.rows:
        if row.value is not None:
            groups.setdefault(family_of(row), []).append(row)
    order = sorted(groups.items(), key=lambda item: -best_of(item[1], history.sign))
    return order[:MOST]


def family_of(row: TrialRow) -> str:
    """Return the group of a trial: its family with the kind of training, or the kind alone."""
    family = row.config.get("family")
    return " ".join(str(part) for part in (family, row.kind) if part) or "all trials"


def best_of(rows: Sequence[TrialRow], sign: float) -> float:
    """Return the best value of some trials, times the sign."""
    return max(sign * row.value for row in rows if row.value is not None)


def families_chart(history: History) -> Markup:
    """Return the chart; "" with fewer than two groups."""
    groups = by_family(history)
    if len(groups) < 2:
        return Markup("")
    values = [row.value for _, rows in groups for row in rows if row.value is not None]
    height = TOP + ROW * len(groups) + BOTTOM
    left = min(MOST_LEFT, 20 + LETTER * max(len(name) for name, _ in groups))
    x = Scale(*padded(values), left, WIDTH - 16)
    y = Scale(0.0, float(len(groups)), TOP, height - BOTTOM)
    content = "".join(
        dot(x(row.value), y(k + 0.5), "thin", f"trial {row.trial}: {score(row.value)}", 5)
        for k, (_, rows) in enumerate(groups)
        for row in rows
        if row.value is not None
    )
    names = [(k + 0.5, name) for k, (name, _) in enumerate(groups)]
    plot = Frame(WIDTH, height, x, y, f"validation {history.metric}", "", (), names)
    return plot.draw(content, label=f"Validation scores of {len(groups)} families of networks")
