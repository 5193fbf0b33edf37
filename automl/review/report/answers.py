"""The delivered model's answers on the holdout, from `holdout_predictions.csv`: the holdout is not read again."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from automl.documents.table_file import table_lines
from automl.final.evaluation.record import ANSWERS_FILE
from automl.records import Task


@dataclass(frozen=True)
class Answer:
    """The answer for one image. `confidence` is that of the answer, NaN where there is none.

    Of a regression, `values` are (true, predicted) for each target; of several labels, `label` and `predicted` have "|"
    between them.
    """

    file: str
    label: str
    predicted: str
    confidence: float = math.nan
    values: tuple[tuple[float, float], ...] = ()

    @property
    def right(self) -> bool:
        """Whether it is the true class, or all labels are right."""
        return self.label == self.predicted


@dataclass(frozen=True)
class LabelError:
    """An image whose label is probably wrong, from `label_errors.csv`."""

    file: str
    given: str
    suggested: str
    confidence: float


def read_answers(folder: Path, task: Task, targets: Sequence[str]) -> tuple[Answer, ...]:
    """Return the answers of a study, in their order; () without the file, or with one of another kind."""
    try:
        with table_lines(folder / ANSWERS_FILE) as lines:
            reader = csv.reader(lines)
            places = {name: place for place, name in enumerate(next(reader))}
            if task == "regression":
                return tuple(_values(row, places, targets) for row in reader)
            return tuple(_said(row, places) for row in reader)
    except (OSError, StopIteration, ValueError, LookupError, csv.Error):
        return ()


def read_label_errors(folder: Path) -> tuple[LabelError, ...]:
    """Return the likely label errors of a study, the clearest first; () if none were found or looked for."""
    try:
        with table_lines(folder / "label_errors.csv") as lines:
            return tuple(
                LabelError(row["file"], row["given_label"], row["suggested_label"], float(row["confidence"]))
                for row in csv.DictReader(lines)
            )
    except (OSError, ValueError, LookupError, csv.Error):
        return ()


def read_parts(folder: Path) -> tuple[dict[str, str], ...]:
    """Return the rows of `splits.csv` with file, label and split; () without the file."""
    try:
        with table_lines(folder / "splits.csv") as lines:
            return tuple(csv.DictReader(lines))
    except (OSError, csv.Error, ValueError):
        return ()


def _said(row: Sequence[str], places: dict[str, int]) -> Answer:
    place = places.get("confidence")
    confidence = math.nan if place is None else float(row[place])
    return Answer(row[places["file"]], row[places["label"]], row[places["predicted"]], confidence)


def _values(row: Sequence[str], places: dict[str, int], targets: Sequence[str]) -> Answer:
    ends = [f"_{name}" for name in targets] if len(targets) > 1 else [""]
    values = tuple((float(row[places[f"label{end}"]]), float(row[places[f"predicted{end}"]])) for end in ends)
    words = ["|".join(f"{pair[k]:.4g}" for pair in values) for k in (0, 1)]
    return Answer(row[places["file"]], words[0], words[1], values=values)
