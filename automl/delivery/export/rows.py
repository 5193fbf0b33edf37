"""Labelled images on which an export is proven, and by which its int8 numbers are chosen."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from automl.data.sources import open_source
from automl.data.sources.base import Source
from automl.errors import DataError
from automl.records import DatasetInfo

SPLITS_FILE = "splits.csv"


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


def study_rows(folder: Path, config: Mapping[str, Any]) -> StudyRows:
    """Open the data of a study again (`config` is its study.yaml) and return its rows, by splits.csv in its folder.

    Raises DataError if the data are gone, or are not those of the study.
    """
    source = open_source(
        config["data"],
        target=config.get("target"),
        task=str(config.get("task") or "auto"),
        image_column=config.get("image_column"),
        group_column=config.get("group_column"),
    )
    with (folder / SPLITS_FILE).open(newline="", encoding="utf-8") as file:
        parts = {row["file"]: row["split"] for row in csv.DictReader(file)}
    images = _images(source)
    split = np.array([parts.get(name, "") for name in source.files])
    known = {part: images.at(np.flatnonzero(split == part)) for part in ("train", "val", "holdout")}
    wanted = sum(part == "holdout" for part in parts.values())
    gone = wanted - len(known["holdout"])
    if gone:
        raise DataError(
            f"the data must hold the study's images, but {gone} of {wanted} held-out ones are not in {source.name!r} "
            "any more: put them back, or give labelled images with --data"
        )
    return StudyRows(known["train"], known["val"], known["holdout"])


def labelled_images(data: Any, info: DatasetInfo) -> LabelledImages:
    """Open labelled images for a model of the data set `info`, their targets in the order of its classes.

    Raises DataError for labels that the model does not know, and for another task.
    """
    target = ",".join(info.classes) if info.task == "regression" else None
    try:
        source = open_source(data, target=target, task=info.task)
    except DataError:
        if target is None:
            raise
        source = open_source(data, task=info.task)
    images = _images(source)
    strange = [name for name in source.classes if name not in info.classes]
    if strange:
        raise DataError(
            f"the labels must be ones that the model knows, but {', '.join(map(repr, strange[:5]))} is none of its "
            f"{len(info.classes)}"
        )
    places = np.array([info.classes.index(name) for name in source.classes])
    if info.task == "classification":
        return LabelledImages(images.files, places[images.targets], images.load)
    targets = np.zeros((len(images), info.n_outputs), dtype=np.float32)
    targets[:, places] = images.targets
    return LabelledImages(images.files, targets, images.load)


def _images(source: Source) -> LabelledImages:
    return LabelledImages(source.files, np.asarray(source.targets), source.load)


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
