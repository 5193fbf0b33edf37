"""The frozen records that stages pass to each other, so that every stage can be tested from a literal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Protocol

Task = Literal["classification", "multilabel", "regression"]
Mode = Literal["max", "min"]
LabelType = Literal["text", "int", "float", "bool"]  # in which labels were given, and predictions return
Resize = Literal["crop", "squeeze"]  # an image becomes a square by its central square, or as a whole
Config = dict[str, Any]


# --- data ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DatasetInfo:
    """What trials, models and reports need to know about a data set: small and picklable.

    `classes` are the class names (classification), label columns (multilabel) or target columns (regression), in the
    order of the model's outputs. `mean` and `std` have a value for each channel of pixels scaled to 0..1. A regression
    standardises its targets by `target_mean` and `target_std`, with a value for each column; other tasks have none.
    All of them come from the training rows alone. Images are stored with `img_size` px a side, and, where pretrained
    networks want more, also with `large_size` px (0 if not). `resize` says how they became squares.
    `pixel_range` is black and white of pixels with more than 8 bits, of all images of the data set; empty for 8 bits.
    `label_type` is the type in which labels were given. Under
    cross-validation there are `folds`, else 0; the other numbers are then those of the first fold.
    """

    name: str
    task: Task
    classes: tuple[str, ...]
    in_chans: int
    img_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_counts: tuple[int, ...]
    fingerprint: str
    n_train: int
    n_val: int
    n_holdout: int
    n_skipped: int
    target_mean: tuple[float, ...] = ()
    target_std: tuple[float, ...] = ()
    large_size: int = 0
    resize: Resize = "crop"
    pixel_range: tuple[float, ...] = ()
    label_type: LabelType = "text"
    folds: int = 0

    @classmethod
    def counted(
        cls, class_counts: tuple[int, ...], *, n_train: int, n_val: int, folds: int = 0
    ) -> DatasetInfo:
        """Return what is known of classes where only their rows are: enough for the standard error of a score."""
        return cls(
            name="",
            task="classification",
            classes=(),
            in_chans=0,
            img_size=0,
            mean=(),
            std=(),
            class_counts=class_counts,
            fingerprint="",
            n_train=n_train,
            n_val=n_val,
            n_holdout=0,
            n_skipped=0,
            folds=folds,
        )

    @property
    def n_scored(self) -> int:
        """The number of rows that score a trial: the validation rows, or under cross-validation those of all folds."""
        return self.n_train + self.n_val if self.folds else self.n_val

    @property
    def detailed(self) -> DatasetInfo:
        """The same data at their larger size, if they are stored at two sizes."""
        return replace(self, img_size=self.large_size, large_size=0) if self.large_size else self

    @property
    def n_outputs(self) -> int:
        """The number of outputs of a model for these data."""
        return len(self.classes)


@dataclass(frozen=True)
class Rows:
    """Some rows of a decoded data set: three `.npy` files that every process of a node maps into memory.

    `images`: uint8 (N, H, W, C). `targets`: int64 (N,) for classification, float32 (N, n_outputs) otherwise. `index`:
    int64 (n,), the rows of this part. A pickled `Rows` holds paths and no pixels. `large` are the same images with
    `large_size` px a side, None if they are stored at one size.
    """

    images: Path
    targets: Path
    index: Path
    n: int
    large: Path | None = None
    large_size: int = 0

    def images_at(self, img_size: int) -> Path:
        """Return the images that are stored with `img_size` px a side."""
        return self.large if self.large is not None and img_size == self.large_size else self.images

    def __len__(self) -> int:
        return self.n


@dataclass(frozen=True)
class Fold:
    """A part of the rows under cross-validation (`val`), and all others (`train`)."""

    train: Rows
    val: Rows


@dataclass(frozen=True)
class SearchSplits:
    """All rows that search code may see: training and validation. The holdout has another type.

    Under cross-validation there are `folds`, of which `train` and `val` are the first.
    """

    info: DatasetInfo
    train: Rows
    val: Rows
    folds: tuple[Fold, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class BadFile:
    """A file that cannot be used, and why."""

    file: str
    reason: str


VAL_ROWS = (
    "val_rows"  # the metric in which a report says on how many validation rows it was scored, if not on all
)


# --- trials -------------------------------------------------------------------------------------------------


# What people are told of a configuration beside its values, such as the tag of its weights.
Attributes = Callable[[Config], Mapping[str, str]]


class TrialState(StrEnum):
    """The state of a trial. PAUSED trials have a checkpoint and may still be promoted.

    A trial that ended before its full length is PRUNED if others did better, and UNFINISHED if the time, or the search,
    ended first: a continued search goes on with it.
    """

    RUNNING = "running"
    PAUSED = "paused"
    COMPLETE = "complete"
    PRUNED = "pruned"
    UNFINISHED = "unfinished"
    FAILED = "failed"


class OnFailure(StrEnum):
    """What a study does when a trial fails.

    RETRY: a trial whose process was lost (killed, hanging, out of memory) runs once more from its checkpoint. One that
    raised an error would raise it again, so it is FAILED. SKIP: any is FAILED at once. STOP: as SKIP, and a few
    failures in a row end the study.
    """

    RETRY = "retry"
    SKIP = "skip"
    STOP = "stop"


@dataclass(frozen=True)
class Report:
    """A round of a trial. `round` counts from 1, `seconds` is the time of this round alone."""

    trial: int
    round: int
    value: float
    seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """The number of validation rows that the value was scored on; 0 if it was all of them."""
        return rows_of(self.metrics)


def rows_of(metrics: Mapping[str, float]) -> int:
    """Return on how many validation rows these metrics were scored, as they say; 0 if it was on all of them."""
    found = metrics.get(VAL_ROWS, 0.0)
    return int(found) if 0.0 < found < math.inf else 0


@dataclass(frozen=True)
class HeadTrial:
    """A linear head that was fitted before the search: a trial of the study without a training.

    `key` names it within the study. `config` says what it is, `value` is its score on the validation rows, `seconds`
    is the time that it took, and `metrics` are further numbers.
    """

    key: str
    config: Config
    value: float
    seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Interval:
    """A value with its confidence interval (95 %)."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{score_text(self.value)} ({score_text(self.low)} to {score_text(self.high)})"


def score_text(value: float) -> str:
    """Return a score with four decimals, or with four digits below 0.001 and from a million on (`3.1e-25`)."""
    plain = value == 0 or not math.isfinite(value) or 1e-3 <= abs(value) < 1e6
    return f"{value:.4f}" if plain else f"{value:.4g}"


# --- what a person sees ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrialRow:
    """A trial as tables show it.

    `value` is its last validation score, None if it has none; `rounds` its last round, `seconds` the time of all its
    rounds, `epochs` its passes through the training rows (None if unknown). `objectives` are its other objectives.
    `kind` says what model it is: "head on features", "head on pixels", "fine-tuned", "from scratch", or "" if unknown.
    `val_rows` is on how many validation rows `value` was scored, 0 if on all; `error` is then its standard error.
    """

    trial: int
    state: TrialState
    value: float | None
    rounds: int
    seconds: float
    config: Config
    reason: str = ""
    objectives: Mapping[str, float] = field(default_factory=dict)
    epochs: float | None = None
    kind: str = ""
    val_rows: int = 0
    error: float = 0.0


@dataclass(frozen=True)
class BestSoFar:
    """The best trial at a moment: `value` is that of its last `round`, so it can fall as the trial trains on."""

    trial: int
    value: float
    round: int
    config: Config


@dataclass(frozen=True)
class ReadOptions:
    """What was asked of data that are to be read: the kind of task, and the columns of a table.

    `target` is one column to learn, or several with commas, `image_column` the one with the images, `group_column` the
    one with groups of rows that belong together; None lets the table decide.
    """

    target: str | None = None
    task: str = "auto"
    image_column: str | None = None
    group_column: str | None = None

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> ReadOptions:
        """Return the options among those of a command or a study."""
        names = [one.name for one in fields(cls)]
        return cls(**{name: asked[name] for name in names if asked.get(name) is not None})


@dataclass(frozen=True)
class TrialEvent:
    """Something that happened to a trial, `time` seconds after the study's search began.

    `incumbent`: it is the best trial now. `best` is the best trial after the event, which may be another one; None
    before the first value. `most_rounds` is how many rounds a trial of this search may have, None if unknown.
    `seconds` and `metrics` are those of its last round (see `Report`).
    """

    trial: int
    state: TrialState
    config: Config
    round: int
    value: float | None
    time: float
    reason: str = ""
    incumbent: bool = False
    best: BestSoFar | None = None
    most_rounds: int | None = None
    seconds: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)


class Observer(Protocol):
    """Takes what happens, in order, from one thread, and shows it to a person."""

    def stage(self, name: str, text: str) -> None:
        """A stage begins: scan, cache, search, retrain, holdout, deliver."""

    def metric(self, name: str, mode: Mode) -> None:
        """The metric is known: trials are compared by it."""

    def progress(self, done: float, total: float) -> None:
        """The current stage has come this far."""

    def trial(self, event: TrialEvent) -> None:
        """A trial started, reported, paused or ended."""

    def note(self, text: str) -> None:
        """A sentence for a person: a skipped file, a plan, a warning."""


class Silent:
    """An observer that shows nothing."""

    def stage(self, name: str, text: str) -> None:
        """Ignored."""

    def metric(self, name: str, mode: Mode) -> None:
        """Ignored."""

    def progress(self, done: float, total: float) -> None:
        """Ignored."""

    def trial(self, event: TrialEvent) -> None:
        """Ignored."""

    def note(self, text: str) -> None:
        """Ignored."""


class PassedOn:
    """An observer that passes everything on to another one. Subclasses do something with a part of it."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer

    def stage(self, name: str, text: str) -> None:
        """Pass on."""
        self.observer.stage(name, text)

    def metric(self, name: str, mode: Mode) -> None:
        """Pass on."""
        self.observer.metric(name, mode)

    def progress(self, done: float, total: float) -> None:
        """Pass on."""
        self.observer.progress(done, total)

    def trial(self, event: TrialEvent) -> None:
        """Pass on."""
        self.observer.trial(event)

    def note(self, text: str) -> None:
        """Pass on."""
        self.observer.note(text)
