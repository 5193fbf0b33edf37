"""Parallel coordinates: each trial as a line through its hyperparameters to its score (Inselberg 1985)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from automl.data.sources.base import counted
from automl.records import TrialRow
from automl.review.describe import number
from automl.review.page.svg import SVG, Scale, line, path, text
from automl.review.report.history import History
from automl.review.tables import ranked

MOST_AXES, MOST_TRIALS, MOST_WORDS = 7, 150, 8
BEST = 0.1  # the share of the trials that are drawn in colour
WIDTH, HEIGHT, TOP, BOTTOM = 900, 330, 44, 24
LOG_FROM = 100.0


@dataclass(frozen=True)
class Axis:
    """An axis: `places` maps the words of its ends or choices to a share of its height."""

    name: str
    places: dict[str, float]
    words: dict[Any, float]
    scale: Scale | None = None

    def at(self, value: Any) -> float | None:
        """Return the share of the height at which a value lies, None for one that the trial does not have."""
        if value is None:
            return None
        return self.words.get(str(value)) if self.scale is None else self.scale(float(value))


def axes(rows: Sequence[TrialRow], wanted: Sequence[str] = ()) -> list[Axis]:
    """Return the axes of hyperparameters that differ among the trials, those of `wanted` first."""
    names = list(dict.fromkeys([*wanted, *(name for row in rows for name in row.config)]))
    found = [axis for name in names if (axis := _axis(name, rows)) is not None]
    return found[:MOST_AXES]


def _axis(name: str, rows: Sequence[TrialRow]) -> Axis | None:
    values = [row.config[name] for row in rows if row.config.get(name) is not None]
    different = {str(value) for value in values}
    if len(different) < 2:
        return None
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        low, high = float(min(values)), float(max(values))
        scale = Scale(low, high, 0.0, 1.0, log=low > 0.0 and high >= LOG_FROM * low)
        return Axis(name, {number(low): 0.0, number(high): 1.0}, {}, scale)
    if len(different) > MOST_WORDS:
        return None
    ordered = sorted(different)
    words: dict[Any, float] = {word: k / (len(ordered) - 1) for k, word in enumerate(ordered)}
    return Axis(name, words, words)


def parallel(history: History, wanted: Sequence[str] = ()) -> Markup:
    """Return the chart of the best trials, the best tenth of them in colour; "" with fewer than two."""
    rows = [row for row in ranked(history.trained, history.mode) if row.value is not None][:MOST_TRIALS]
    shown = axes(rows, wanted)
    if len(rows) < 2 or not shown:
        return Markup("")
    values = [row.value for row in rows if row.value is not None]
    low, high = min(values), max(values)
    places = {number(low): 0.0, number(high): 1.0} if high > low else {number(low): 0.5}
    last = Axis(f"val {history.metric}", places, {}, Scale(low, high, 0.0, 1.0))
    columns = [*shown, last]
    step = (WIDTH - 130) / (len(columns) - 1)
    x = [55 + k * step for k in range(len(columns))]
    top = max(1, round(BEST * len(rows)))
    content = [_line(row, columns, x, "best" if k < top else "many") for k, row in enumerate(rows)]
    for at, axis in zip(x, columns, strict=True):
        content.append(line(at, TOP, at, HEIGHT - BOTTOM, "grid"))
        edge = "end" if axis is last else "middle"
        # Long names of neighbours would meet: every other one is higher.
        content.append(
            text(at + 60 * (axis is last), TOP - 14 - 16 * (columns.index(axis) % 2), axis.name, edge, "name")
        )
        content += [
            text(at + 4, _y(share) + 4, word, "start", "small") for word, share in axis.places.items()
        ]
    label = f"Parallel coordinates of {counted(len(rows), 'trial')} over {', '.join(axis.name for axis in columns)}"
    return SVG.format(
        WIDTH,
        HEIGHT,
        label,
        "chart wide",
        Markup("".join(reversed(content[: len(rows)]))) + Markup("".join(content[len(rows) :])),
    )


def _line(row: TrialRow, columns: Sequence[Axis], x: Sequence[float], kind: str) -> str:
    points = []
    for at, axis in zip(x, columns, strict=True):
        share = axis.at(row.value if axis is columns[-1] else row.config.get(axis.name))
        if share is not None:
            points.append((at, _y(share)))
    return path(points, kind, f"trial {row.trial}: {number(row.value)}")


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
