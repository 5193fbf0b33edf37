"""Labelled images on which an export is proven, and by which its int8 numbers are chosen."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from automl.data.splits import HOLDOUT, TRAIN, VAL
from automl.documents.table_file import table_lines
from automl.errors import DataError, reason_of
from automl.final.evaluation.labelled import Labelled
from automl.final.evaluation.seen import SPLITS_FILE


@dataclass(frozen=True)
class LabelledImages:
    """Images with their targets (as `Source.targets`); `load(i)` opens one and raises DataError."""

    files: Sequence[str]
    targets: npt.NDArray[Any]
    load: Callable[[int], Image.Image]

    def __len__(self) -> int:
        return len(self.files)

    def some(self, n: int, seed: int = 0) -> LabelledImages:
        """Return at most `n` of them, drawn at random."""
        if n >= len(self):
            return self
        chosen = np.sort(np.random.default_rng(seed).choice(len(self), n, replace=False))
        return self.at(chosen)

    def halves(self, seed: int = 0) -> StudyRows:
        """Return one half of them as training and validation rows, and the other as held-out ones."""
        order = np.random.default_rng(seed).permutation(len(self))
        first = self.at(np.sort(order[: len(self) // 2]))
        return StudyRows(first, first, self.at(np.sort(order[len(self) // 2 :])))

    def at(self, rows: npt.NDArray[np.int64]) -> LabelledImages:
        """Return those of these rows."""
        places = rows.tolist()
        load = self.load
        return LabelledImages(
            [self.files[row] for row in places], self.targets[rows], lambda i: load(places[i])
        )


@dataclass(frozen=True)
class StudyRows:
    """The rows of a study by their part; `held_out` are those that neither search nor retrain has seen."""

    train: LabelledImages
    val: LabelledImages
    held_out: LabelledImages


def study_rows(found: Labelled, folder: Path) -> StudyRows:
    """Return the rows of a study, whose data were opened again, by the splits.csv in its folder.

    Raises DataError if held-out images are gone, or the table is damaged.
    """
    try:
        with table_lines(folder / SPLITS_FILE) as lines:
            parts = {row["file"]: row["split"] for row in csv.DictReader(lines)}
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise DataError(
            f"{str(folder / SPLITS_FILE)!r} must say which images the study held out, but cannot be read "
            f"({reason_of(error)}): restore it, or give labelled images with --data"
        ) from error
    images = labelled_images(found)
    split = np.array([parts.get(name, "") for name in images.files])
    train, val, held_out = (images.at(np.flatnonzero(split == part)) for part in (TRAIN, VAL, HOLDOUT))
    wanted = sum(part == HOLDOUT for part in parts.values())
    gone = wanted - len(held_out)
    if gone:
        raise DataError(
            f"the data must hold the study's images, but {gone} of {wanted} held-out ones are not in "
            f"{found.source.name!r} any more: put them back, or give labelled images with --data"
        )
    return StudyRows(train, val, held_out)


def labelled_images(found: Labelled) -> LabelledImages:
    """Return the rows of labelled data on which a model can be tested."""
    source, rows = found.source, found.rows
    return LabelledImages([source.files[i] for i in rows], found.targets, lambda i: source.load(rows[i]))


@dataclass(frozen=True)
class Evidence:
    """What an export is made with and proven by.

    `held_out` proves it; `own_holdout`: these are the rows that the model's study held out. `calibration` gives int8
    its ranges, `choosing` decides which layers it may take; neither holds held-out rows.
    """

    metric: str
    maximise: bool
    held_out: LabelledImages
    calibration: LabelledImages
    choosing: LabelledImages
    own_holdout: bool = False
    seed: int = 0
