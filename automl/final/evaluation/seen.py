"""Which images a model was trained on, by the table of its study."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from automl.data.sources.base import counted
from automl.data.splits import HOLDOUT, TRAIN, VAL
from automl.documents.table_file import table_lines

SPLITS_FILE = "splits.csv"
_MOST_CELL = 2**20  # characters of a cell


@dataclass(frozen=True)
class StudyImages:
    """The images of a study by their SHA-256: those that the model was trained on or chosen by, and the holdout."""

    trained: frozenset[str]
    holdout: frozenset[str]


def read_study_images(model: Path | None) -> StudyImages | None:
    """Return the images of the study that a model folder lies in; None if it lies in none, or its table is damaged."""
    if model is None:
        return None
    parts: dict[str, set[str]] = {TRAIN: set(), VAL: set(), HOLDOUT: set()}
    try:
        csv.field_size_limit(_MOST_CELL)
        with table_lines(model.parent / SPLITS_FILE) as lines:
            for row in csv.DictReader(lines):
                if row["split"] in parts and row["sha256"]:
                    parts[row["split"]].add(row["sha256"])
    except (OSError, KeyError, ValueError, csv.Error):
        return None
    return StudyImages(frozenset(parts[TRAIN] | parts[VAL]), frozenset(parts[HOLDOUT]))


def told(known: StudyImages | None, trained_on: int, held: int, n: int) -> str:
    """Return a sentence about `n` images, of which `trained_on` and `held` belong to the parts of the study; or ""."""
    if known is None:
        return (
            "The model does not lie in its study, so it is unknown whether it was trained on these images: believe the "
            "scores only if it was not."
        )
    if trained_on:
        verb = "is one" if trained_on == 1 else "are ones"
        return (
            f"This is no test: {trained_on:,} of {counted(n, 'image')} {verb} that the model was trained on or chosen "
            "by, so the scores are too good."
        )
    if held:
        verb = "is" if held == 1 else "are"
        return (
            f"{held:,} of {counted(n, 'image')} {verb} of the study's holdout. It was scored by `automl fit` already, "
            "so this is no independent second test."
        )
    return ""
