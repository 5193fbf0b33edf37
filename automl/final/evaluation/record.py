"""The record of an evaluation. Imports nothing heavy: it is read from result.json, too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from automl.records import Interval, Task, score_text
from automl.terminal.html_table import html_table, html_text

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

FORMAT = 1
ANSWERS_FILE = "holdout_predictions.csv"  # the answers behind the evaluation, in the folder of a study


@dataclass(frozen=True)
class MetricScore:
    """A metric with its 95 % interval, and the trivial answer's value with what that answer is ("always 'bee'")."""

    value: float
    low: float
    high: float
    trivial: float
    trivial_words: str

    @property
    def interval(self) -> Interval:
        """The value with its interval."""
        return Interval(self.value, self.low, self.high)


@dataclass(frozen=True)
class ClassScore:
    """What is right about one class, or one label of several.

    `support` images have it and `predicted` images are said to have it. `precision` is NaN if none is predicted,
    `recall` if none has it, `f1` if both. A label also has its `average_precision` (NaN if no image or every image has
    it), and the `threshold` from which on it is predicted; a class has neither (None).
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int
    average_precision: float | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Confused:
    """`count` images of the class `label` are taken for `predicted`: the `share` of all of that class."""

    label: str
    predicted: str
    count: int
    share: float


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers of similar confidence: their number, their mean confidence, and the share of them that is right."""

    n: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Calibration:
    """Whether probabilities mean what they say.

    `ece` is the expected calibration error over bins with equally many answers (Nixon et al. 2019, "Measuring
    calibration in deep learning", adaptive calibration error of the top class), 0..1. `brier` is Brier's score (1950):
    the squared distance of the probabilities to the truth, summed over the classes (0..2), or averaged over the labels
    (0..1). For several labels an answer is one label of one image, and its confidence that the image has it.
    """

    ece: float
    brier: float
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class SizeBin:
    """Rows whose target lies in `low`..`high`: mean absolute error, and mean of prediction less target (`bias`)."""

    low: float
    high: float
    n: int
    mae: float
    bias: float


@dataclass(frozen=True)
class TargetScore:
    """The errors of one value of a regression, in its units. `bins` have equally many rows, by the true value."""

    target: str
    r2: float
    mae: float
    rmse: float
    bias: float
    bins: tuple[SizeBin, ...]


@dataclass(frozen=True)
class RiskPoint:
    """If the model answers only from `confidence` on, it answers the share `coverage`, and of these `risk` wrongly."""

    coverage: float
    risk: float
    confidence: float


@dataclass(frozen=True)
class Evaluation:
    """How good a model is on `n` labelled images.

    `metrics` has the study's `metric` first. Classification and several labels: `per_class` in the order of `classes`,
    `calibration`. Classification alone: `confusion[true][predicted]` counts images (no entry where there are none),
    `risk_coverage`. Regression: `targets`. `trained_on` of the images are ones that the model was trained on, or chosen
    by: then this is no test. `left_out` counts rows without a label that the model knows, `skipped` maps unreadable
    files to the reason. `notes` are sentences about all that.
    """

    task: Task
    metric: str
    n: int
    classes: tuple[str, ...]
    metrics: Mapping[str, MetricScore]
    per_class: tuple[ClassScore, ...] = ()
    confusion: Mapping[str, Mapping[str, int]] = field(default_factory=dict, repr=False)
    calibration: Calibration | None = field(default=None, repr=False)
    risk_coverage: tuple[RiskPoint, ...] = field(default=(), repr=False)
    targets: tuple[TargetScore, ...] = ()
    trained_on: int = 0
    left_out: int = 0
    skipped: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def matrix(self) -> npt.NDArray[np.int64]:
        """Return the confusion matrix (K, K): images of class i that are predicted as class j."""
        import numpy as np

        place = {name: k for k, name in enumerate(self.classes)}
        counts = np.zeros((len(place), len(place)), dtype=np.int64)
        for true, row in self.confusion.items():
            for said, count in row.items():
                counts[place[true], place[said]] = count
        return counts

    def confused(self, most: int = 10) -> list[Confused]:
        """Return the pairs of classes that are confused most often, at most `most` of them."""
        support = {score.label: score.support for score in self.per_class}
        pairs = [
            Confused(true, said, count, count / max(1, support.get(true, 0)))
            for true, row in self.confusion.items()
            for said, count in row.items()
            if said != true
        ]
        return sorted(pairs, key=lambda pair: (-pair.count, -pair.share, pair.label, pair.predicted))[:most]

    def worst(self, most: int | None = None) -> list[ClassScore]:
        """Return the classes that occur among images or predictions, the one with the lowest F1 first.

        Of labels with the same F1 the one with the lowest average precision comes first. Classes that no image has come
        last: they were not tested.
        """
        known = [score for score in self.per_class if not math.isnan(score.f1)]
        known.sort(key=_by_badness)
        return known[:most]

    def to_frame(self) -> pd.DataFrame:
        """Return a table with a row for each class or label, or for each value of a regression."""
        import pandas as pd

        if self.task == "regression":
            names = ["target", "r2", "mae", "rmse", "bias"]
            return pd.DataFrame(
                [[getattr(row, name) for name in names] for row in self.targets], columns=names
            )
        names = [row.name for row in fields(ClassScore)]
        if self.task == "classification":
            names = names[:-2]
        return pd.DataFrame([[getattr(row, name) for name in names] for row in self.per_class], columns=names)

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation for a JSON file; what is not defined (NaN) is None."""
        own = {key: value for key, value in asdict(self).items() if value not in ((), {}, None)}
        if self.confusion:
            own["confused"] = [asdict(pair) for pair in self.confused()]
        found: dict[str, Any] = _without_nan({"format": FORMAT, **own})
        return found

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Evaluation:
        """Return the evaluation that `to_json` wrote. Raises ValueError for another format, KeyError for gaps."""
        if said.get("format") != FORMAT:
            raise ValueError(
                f"the format of an evaluation is {said.get('format')!r:.40}, this version reads {FORMAT}"
            )
        calibration = said.get("calibration")
        return cls(
            task=said["task"],
            metric=said["metric"],
            n=said["n"],
            classes=tuple(said["classes"]),
            metrics={name: MetricScore(**_with_nan(entry)) for name, entry in said["metrics"].items()},
            per_class=tuple(ClassScore(**_class_entry(entry)) for entry in said.get("per_class", ())),
            confusion=said.get("confusion", {}),
            calibration=None if calibration is None else _calibration(calibration),
            risk_coverage=tuple(RiskPoint(**_with_nan(entry)) for entry in said.get("risk_coverage", ())),
            targets=tuple(_target(entry) for entry in said.get("targets", ())),
            trained_on=said.get("trained_on", 0),
            left_out=said.get("left_out", 0),
            skipped=said.get("skipped", {}),
            notes=tuple(said.get("notes", ())),
        )

    def _repr_html_(self) -> str:
        """Return metrics and classes, the worst first, as a notebook shows them."""
        metrics = [
            (name, str(each.interval), score_text(each.trivial)) for name, each in self.metrics.items()
        ]
        parts = [f"<p>{html_text(note)}</p>" for note in self.notes]
        names = ("metric", "value with 95 % interval", "trivial answer")
        parts.append(html_table(metrics, columns=names, title=f"{self.n:,} images for {self.task}"))
        if self.task == "regression":
            rows = [
                (t.target, f"{t.r2:.4f}", f"{t.mae:.4g}", f"{t.rmse:.4g}", f"{t.bias:+.4g}")
                for t in self.targets
            ]
            return "".join([*parts, html_table(rows, columns=("target", "r2", "mae", "rmse", "bias"))])
        classes = [
            (row.label, f"{row.precision:.3f}", f"{row.recall:.3f}", f"{row.f1:.3f}", row.support)
            for row in self.worst()
        ]
        columns = ("class", "precision", "recall", "f1", "images")
        return "".join([*parts, html_table(classes, columns=columns)])

    def __repr__(self) -> str:
        held = self.metrics[self.metric]
        return f"Evaluation({self.metric}={held.interval}, n={self.n}, classes={len(self.classes)})"


def _by_badness(row: ClassScore) -> tuple[bool, float, float, int, str]:
    precision = row.average_precision
    apart = 1.0 if precision is None or math.isnan(precision) else precision
    return not row.support, row.f1, apart, -row.support, row.label


def _calibration(said: Mapping[str, Any]) -> Calibration:
    bins = tuple(ReliabilityBin(**_with_nan(entry)) for entry in said["bins"])
    return Calibration(bins=bins, **_with_nan({"ece": said["ece"], "brier": said["brier"]}))


def _target(said: Mapping[str, Any]) -> TargetScore:
    bins = tuple(SizeBin(**_with_nan(entry)) for entry in said["bins"])
    return TargetScore(**{**_with_nan(said), "bins": bins})


def _class_entry(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a class: a label without an average precision has NaN, a class without labels None."""
    numbers = _with_nan({name: said[name] for name in ("precision", "recall", "f1")})
    if said.get("threshold") is not None:
        numbers |= _with_nan({"average_precision": said["average_precision"]})
    return {**said, **numbers}


def _with_nan(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: math.nan if value is None else value for name, value in said.items()}


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_nan(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
