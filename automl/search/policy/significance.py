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


@dataclass(frozen=True)
class Significance:
    """What scores on the validation rows tell.

    `trivial` is the score of the trivial answer on these rows, `standard_error` returns the standard error of a score,
    in the metric's units. `source` is what both were made of, as plain data: it is logged with the search, so that a
    recorded study is judged by the same numbers again.
    """

    trivial: float
    standard_error: Callable[[float], float] = field(repr=False)
    mode: Mode = "max"
    source: Mapping[str, Value] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def threshold(self) -> float:
        """The score that a trial must exceed (`mode` min: stay below) to be better than the trivial answer."""
        step = Z99 * self.noise(self.trivial)
        return self.trivial + step if self.mode == "max" else self.trivial - step

    def moved(self, value: float) -> bool:
        """Return whether a score is better than the trivial answer by more than chance explains. NaN is not."""
        return value > self.threshold if self.mode == "max" else value < self.threshold

    def noise(self, value: float) -> float:
        """Return the standard error of a score; 0 for one that is not finite, and where it is not known."""
        if not math.isfinite(value):
            return 0.0
        error = self.standard_error(value)
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
    }
    return judged_again(source) if math.isfinite(trivial) else None


def judged_again(source: Mapping[str, Value]) -> Significance:
    """Return the significance that a search logged as its `source`.

    Raises KeyError or ValueError if it is none.
    """
    metric, rows = str(source["metric"]), int(source["rows"])
    counts = tuple(int(count) for count in str(source["class_rows"]).split())
    # Standard errors follow from the rows of the classes alone.
    info = DatasetInfo(
        name="",
        task="classification",
        classes=(),
        in_chans=0,
        img_size=0,
        mean=(),
        std=(),
        class_counts=counts,
        fingerprint="",
        n_train=int(source["train_rows"]),
        n_val=rows,
        n_holdout=0,
        n_skipped=0,
    )
    return Significance(
        trivial=float(source["trivial"]),
        standard_error=lambda value: standard_error(metric, value, info, rows),
        mode="min" if source["mode"] == "min" else "max",
        source=source,
    )
