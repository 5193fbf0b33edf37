"""What a difference between two validation scores is worth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from automl.records import DatasetInfo, Mode
from automl.search.reasons import Value
from automl.training.steps.standard_errors import standard_error

# One-sided 99 %, and not 95 %, because a dozen trials are looked at, each at several rungs.
Z99 = 2.33
# Of the rules by which a search decides. Before version 2 every score counted as one of all validation rows, and
# Optuna's pruners stopped trials within the noise of their scores.
VERSION = 2


@dataclass(frozen=True)
class Significance:
    """What scores on the validation rows tell.

    `trivial` is the score of the trivial answer on these rows, `standard_error` returns the standard error of a score
    on so many rows, in the metric's units. There are `rows` in all, and a score may be of fewer (`Report.rows`).
    `source` is what this was made of, as plain data: it is logged with the search, so that a recorded study is judged
    by the same numbers again, and by the rules of the `version` that recorded it.
    """

    trivial: float
    standard_error: Callable[[float, int], float] = field(repr=False)
    mode: Mode = "max"
    rows: int = 0
    version: int = VERSION
    source: Mapping[str, Value] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def _thresholds(self) -> dict[int, float]:
        return {}

    def scored(self, rows: int) -> int:
        """Return on how many rows a score counts that was made on `rows` of them (0: on all)."""
        return rows if self.version >= VERSION and 0 < rows < self.rows else self.rows

    def threshold(self, rows: int = 0) -> float:
        """Return the score that a trial must exceed (`mode` min: stay below) to be better than the trivial answer."""
        count = self.scored(rows)
        if count not in self._thresholds:
            step = Z99 * self.noise(self.trivial, rows)
            self._thresholds[count] = self.trivial + (step if self.mode == "max" else -step)
        return self._thresholds[count]

    def moved(self, value: float, rows: int = 0) -> bool:
        """Return whether a score is better than the trivial answer by more than chance explains. NaN is not."""
        return value > self.threshold(rows) if self.mode == "max" else value < self.threshold(rows)

    def noise(self, value: float, rows: int = 0) -> float:
        """Return the standard error of a score; 0 for one that is not finite, and where it is not known."""
        if not math.isfinite(value):
            return 0.0
        error = self.standard_error(value, self.scored(rows))
        return error if error > 0.0 else 0.0


def judged_by(metric: str, mode: Mode, trivial: float, info: DatasetInfo) -> Significance | None:
    """Return the significance of scores of `metric` on the validation rows of a data set.

    `trivial` is the trivial answer's score on these rows. None if it is not finite: the metric is not defined there.
    """
    source: dict[str, Value] = {
        "metric": metric,
        "mode": mode,
        "trivial": trivial,
        "rows": info.n_scored,
        "train_rows": info.n_train,
        "class_rows": " ".join(map(str, info.class_counts)),
        "version": VERSION,
    }
    return judged_again(source) if math.isfinite(trivial) else None


def judged_again(source: Mapping[str, Value]) -> Significance:
    """Return the significance that a search logged as its `source`: of version 1 if it names none.

    Raises KeyError or ValueError if it is none.
    """
    metric, rows = str(source["metric"]), int(source["rows"])
    counts = tuple(int(count) for count in str(source["class_rows"]).split())
    # Standard errors follow from the rows of the classes alone.
    info = DatasetInfo.counted(counts, n_train=int(source["train_rows"]), n_val=rows)
    return Significance(
        trivial=float(source["trivial"]),
        standard_error=lambda value, scored: standard_error(metric, value, info, scored),
        mode="min" if source["mode"] == "min" else "max",
        rows=rows,
        version=int(source.get("version", 1)),
        source=source,
    )
