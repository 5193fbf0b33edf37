"""The images of a report: thumbnails with captions, and where the model looked."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path

from PIL import Image

from automl.config.names import REMOTE
from automl.data.sources import open_data
from automl.errors import AutomlError, DataError
from automl.records import ReadOptions, Task
from automl.review.page.thumbnails import Load, Thumbnails
from automl.review.report.answers import Answer
from automl.review.studies import StudyFolder

MOST_BYTES = 9_000_000  # of all thumbnails of a report
_SHOWN = re.compile(r'data-(file|heat)="([^"]*)" src="(data:image/jpeg;base64,[A-Za-z0-9+/=]+)"')


@dataclass(frozen=True)
class Shot:
    """A thumbnail on the page: `url` and `heat` are data URLs, "" where there is no image."""

    file: str
    caption: str
    alt: str
    url: str
    heat: str = ""


@dataclass(frozen=True)
class Camera:
    """Makes the shots of a report. `heat` returns where the model looked at an image, "" if that is unknown."""

    thumbnails: Thumbnails
    heat: Callable[[str], str] = lambda file: ""

    def __call__(self, file: str, caption: str, *, alt: str = "", heat: bool = False) -> Shot:
        """Return the shot of an image by its name."""
        url = self.thumbnails(file)
        looked = self.heat(file) if heat and url else ""
        return Shot(file, caption, alt or f"image {file}", url, looked)


@contextmanager
def study_images(study: StudyFolder) -> Iterator[Load | None]:
    """Open the images that a study was made from for this block; None if they are not there any more.

    Data of a hub are not opened: that could download them again.
    """
    data = study.config.get("data")
    if not isinstance(data, str) or data.startswith(REMOTE):
        yield None
        return
    try:
        source = open_data(data, ReadOptions.of(study.config))
    except (AutomlError, OSError):
        yield None
        return
    try:
        rows = {file: row for row, file in enumerate(source.files)}

        def load(file: str) -> Image.Image:
            if file not in rows:
                raise DataError(f"{file}: not in the data any more")
            return source.load(rows[file])

        yield load
    finally:
        source.close()


@dataclass(frozen=True)
class EarlierShots:
    """The thumbnails of an earlier report by the names of their files, and those of where the model looked."""

    files: dict[str, str]
    heats: dict[str, str]


def earlier_shots(page: Path) -> EarlierShots:
    """Return what an earlier report shows, for images that are gone since; nothing without one."""
    found: dict[str, dict[str, str]] = {"file": {}, "heat": {}}
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, ValueError):
        text = ""
    for kind, name, url in _SHOWN.findall(text):
        found[kind][unescape(name)] = url
    return EarlierShots(found["file"], found["heat"])


def worst(answers: Sequence[Answer], task: Task, most: int) -> list[Answer]:
    """Return the worst errors: the most confident ones, or the largest of a regression."""
    if task == "regression":
        scales = _scales(answers)
        return sorted(answers, key=lambda answer: -_error(answer, scales))[:most]
    wrong = [answer for answer in answers if not answer.right]
    if task == "multilabel":
        return sorted(wrong, key=lambda answer: -len(_apart(answer)[0] | _apart(answer)[1]))[:most]
    return sorted(wrong, key=lambda answer: -_known(answer.confidence))[:most]


def caption(answer: Answer, task: Task, targets: Sequence[str] = ()) -> str:
    """Return what is wrong, or right, with an answer; `targets` name the values of a regression."""
    if task == "regression":
        names = [f"{name} " for name in targets] if len(targets) > 1 else [""] * len(answer.values)
        return "; ".join(
            f"{name}{true:.4g}, predicted {said:.4g}"
            for name, (true, said) in zip(names, answer.values, strict=True)
        )
    if task == "multilabel":
        left, more = _apart(answer)
        parts = [f"missed {', '.join(sorted(left))}"] if left else []
        parts += [f"wrongly {', '.join(sorted(more))}"] if more else []
        return "; ".join(parts) or "right"
    sure = "" if math.isnan(answer.confidence) else f" ({answer.confidence:.2f})"
    return f"{answer.label}{sure}" if answer.right else f"{answer.label}, answered {answer.predicted}{sure}"


def _apart(answer: Answer) -> tuple[set[str], set[str]]:
    """Return the labels that an answer misses, and those that it wrongly has."""
    true, said = (set(filter(None, words.split("|"))) for words in (answer.label, answer.predicted))
    return true - said, said - true


def _scales(answers: Sequence[Answer]) -> list[float]:
    """Return the mean absolute error of each target, so that errors of all of them can be compared."""
    columns = zip(*(answer.values for answer in answers), strict=True)
    return [
        math.fsum(abs(said - true) for true, said in column) / max(1, len(column)) or 1.0
        for column in columns
    ]


def _error(answer: Answer, scales: Sequence[float]) -> float:
    return max(abs(said - true) / scale for (true, said), scale in zip(answer.values, scales, strict=True))


def _known(value: float) -> float:
    return -1.0 if math.isnan(value) else value
