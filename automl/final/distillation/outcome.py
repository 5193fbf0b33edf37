"""What smaller networks reached that learned from a larger one, and which of them takes its place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it loads numpy and scikit-learn, and sentences are made by commands that need neither
    from automl.final.evidence.paired import Difference

SURE = 0.95  # certainty from which on no more images are asked for


@dataclass(frozen=True)
class Size:
    """A network and what it costs: parameters, multiplications for an image, bytes of its file, milliseconds.

    `words` name it for people; `latency` is None if it was not measured.
    """

    words: str
    model: str
    side: int
    params: int
    macs: float
    bytes: int
    latency: float | None = None

    def share_of(self, other: Size) -> float:
        """Return the product of its parameters and multiplications by that of another network."""
        return self.params / max(1, other.params) * self.macs / max(1.0, other.macs)

    def is_smaller(self, other: Size, most: float) -> bool:
        """Return whether it is larger than the other in nothing, and its share of it is at most `most`."""
        fits = self.params <= other.params and self.macs <= other.macs
        return fits and self.share_of(other) <= most

    def to_dict(self) -> dict[str, Any]:
        """Return it for result.json."""
        return {
            "model": self.model,
            "size": self.side,
            "params": self.params,
            "macs": self.macs if math.isfinite(self.macs) else None,
            "bytes": self.bytes,
            "ms_per_image": None if self.latency is None else round(self.latency, 3),
        }


@dataclass(frozen=True)
class Tried:
    """A student: what it reached beside its teacher, or `why` it was not compared (`late`: for want of time).

    `found` compares the teacher (first) with it on rows that neither trained on, where it may lose `most`. `begun` says
    what it started from, and `stored`, that it learned from answers for the stored images. It trained on `images` in
    `seconds`.
    """

    size: Size
    begun: str
    found: Difference | None = None
    most: float = 0.0
    images: int = 0
    seconds: float = 0.0
    stored: bool = False
    why: str = ""
    late: bool = False

    @property
    def keeps(self) -> bool:
        """Whether it loses at most what it may. A loss that is not known is too much."""
        return self.found is not None and self.found.better <= self.most

    @property
    def certainty(self) -> float:
        """The probability that it loses at most what it may on all images of this kind; NaN if unknown."""
        return math.nan if self.found is None else self.found.certainty(self.most)

    def sentence(self, metric: str) -> str:
        """Return what it reached, as a clause."""
        name = f"{self.size.words} ({self.size.params:,} parameters)"
        if self.found is None:
            return f"{name}: {self.why}"
        error = "" if math.isnan(self.found.error) else f", standard error {self.found.error:.4f}"
        return f"{name} has {metric} {self.found.second:.4f} (loss {self.found.better:.4f}{error})"

    def to_dict(self) -> dict[str, Any]:
        """Return it for result.json."""
        known: dict[str, float | None] = {"value": None, "loss": None, "standard_error": None}
        if self.found is not None:
            numbers = (self.found.second, self.found.better, self.found.error)
            known = {
                name: value if math.isfinite(value) else None
                for name, value in zip(known, numbers, strict=True)
            }
        return {
            **self.size.to_dict(),
            "begun_with": self.begun,
            "answers": "of stored images" if self.stored else "of the same views",
            "images": self.images,
            "seconds": round(self.seconds, 2),
            **known,
            "keeps": self.keeps,
            "certainty": round(self.certainty, 3) if math.isfinite(self.certainty) else None,
            "why": self.why,
        }


@dataclass(frozen=True)
class Distilled:
    """What came of the distillation of a `teacher`, which `name` names, into smaller networks.

    They were compared by `metric` on `rows` validation images, where the teacher has `value`. `chosen` is the place of
    the one that is delivered among those `tried`; None: the teacher is.
    """

    name: str
    teacher: Size
    metric: str
    value: float
    most: float
    rows: int
    tried: tuple[Tried, ...] = ()
    chosen: int | None = None

    @property
    def student(self) -> Tried | None:
        """The student that is delivered; None if the teacher is."""
        return None if self.chosen is None else self.tried[self.chosen]

    def measured(self, teacher: float, student: float) -> Distilled:
        """Return it with the milliseconds that an image takes the teacher and the student that is delivered."""
        tried = tuple(
            replace(one, size=replace(one.size, latency=student)) if place == self.chosen else one
            for place, one in enumerate(self.tried)
        )
        return replace(self, teacher=replace(self.teacher, latency=teacher), tried=tried)

    def sentence(self) -> str:
        """Return the clause of the sentence for users."""
        others = [one for place, one in enumerate(self.tried) if place != self.chosen]
        student = self.student
        if student is None:
            what = f"{self.metric} {self.value:.4f} on {self.rows:,} validation images"
            return (
                f"no smaller network is shown to be within {self.most:.4f} of {self.name}, which has {what}: "
                f"{self._listed(others)}"
            )
        said = (
            f"on {self.rows:,} validation images that neither trained on, {self.name} has {self.metric} "
            f"{self.value:.4f} with {self.teacher.params:,} parameters; {student.sentence(self.metric)}, learned from "
            f"it, and may lose {self.most:.4f}{certain(student.certainty, self.rows)}"
        )
        return f"{said}; also tried: {self._listed(others)}" if others else said

    def to_dict(self) -> dict[str, Any]:
        """Return it for result.json."""
        return {
            "rows": self.rows,
            "max_loss": self.most,
            "teacher": {"name": self.name, **self.teacher.to_dict(), "value": self.value},
            "students": [one.to_dict() for one in self.tried],
            "chosen": self.chosen,
        }

    def _listed(self, tried: Sequence[Tried]) -> str:
        return ", ".join(one.sentence(self.metric) for one in tried)


def certain(certainty: float, rows: int) -> str:
    """Return how certain it is that a student loses no more than it may, as the end of a clause; "" if unknown."""
    if not math.isfinite(certainty):
        return ""
    said = f", which it keeps with {min(certainty, 0.99):.0%} certainty"
    return said if certainty >= SURE else f"{said} (more than {rows:,} such images would tell better)"


def middle(low: int, high: int) -> int:
    """Return which of the students from `low` to before `high`, in the order of their sizes, is trained next.

    The smallest that keeps the metric is sought by bisection: a larger network is expected to keep what a smaller one
    keeps. Of an even number it is the larger of the two in the middle.
    """
    return (low + high) // 2


def trainings(low: int, high: int) -> int:
    """Return how many trainings a bisection of the students from `low` to before `high` takes at most.

    >>> [trainings(0, n) for n in (1, 2, 3, 4, 7)]
    [1, 2, 2, 3, 3]
    """
    return math.ceil(math.log2(high - low + 1))
