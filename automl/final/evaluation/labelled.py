"""Labelled images for a model: which rows of the data it can be tested on, and with which targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data import Source, open_data
from automl.data.sources.base import counted
from automl.data.sources.files.split_names import HOLDOUT, TRAIN, VAL, split_of
from automl.errors import DataError, unknown_name
from automl.records import DatasetInfo, ReadOptions
from automl.terminal.printable import printable, short

Array = npt.NDArray[Any]
_MOST_NAMED = 10
_SHOWN = {TRAIN: "train", VAL: "val", HOLDOUT: "test"}


@dataclass(frozen=True)
class Where:
    """How to read the data: the columns of a table (the task is the model's), and the `split` to use.

    `split` is "train", "val", "test" or another word for one of these; None uses all rows.
    """

    options: ReadOptions = ReadOptions()
    split: str | None = None


@dataclass(frozen=True)
class Labelled:
    """The rows of `source` that a model is tested on, and their `targets` in the order of the model's outputs.

    `left_out` rows have labels that the model does not know. `notes` say so, and what the source itself left out.
    """

    source: Source
    rows: tuple[int, ...]
    targets: Array
    left_out: int
    notes: tuple[str, ...]


def open_labelled(data: Any, info: DatasetInfo, where: Where | None = None) -> Labelled:
    """Open labelled data for a model of the data set `info`.

    `data` are all that `fit` takes. Raises DataError for data that cannot be opened or are for another task, if no row
    has a label that the model knows, and for a split without rows.
    """
    where = where or Where()
    source = _opened(data, info, where)
    try:
        if info.pixel_range:
            source.pixel_range = info.pixel_range
        rows, told = _of_split(source, where.split)
        known, targets, unknown = _matched(source, info)
        used = [i for i in rows if known[i]]
        left_out = len(rows) - len(used)
        if not used:
            raise DataError(_none_known(source, info, unknown))
        if left_out or unknown:
            told.append(_told_unknown(source, rows, left_out, unknown))
        return Labelled(source, tuple(used), targets[used], left_out, (*source.notes, *told))
    except BaseException:
        source.close()
        raise


def _opened(data: Any, info: DatasetInfo, where: Where) -> Source:
    """Open the data; where their own choice of columns fails or is another, with the columns of the model's outputs."""
    options = replace(where.options, task=info.task)
    if info.task == "classification" or options.target is not None:
        return open_data(data, options)
    source, problem = None, None
    try:
        source = open_data(data, options)
    except DataError as error:
        problem = error
    if source is not None and set(info.classes) <= set(source.classes):
        return source
    try:
        found = open_data(data, replace(options, target=",".join(info.classes)))
    except DataError:
        if source is None:
            raise problem or DataError() from None
        return source
    if source is not None:
        source.close()
    return found


def _of_split(source: Source, split: str | None) -> tuple[list[int], list[str]]:
    """Return the rows to use, and what to tell about the parts of the data."""
    parts = [part or TRAIN if any(source.splits) else "" for part in source.splits]
    counts = Counter(parts)
    shown = ", ".join(f"{_SHOWN[part]} {counts[part]:,}" for part in _SHOWN if counts[part])
    if split is None:
        told = f"The data have parts ({shown}), and all of them are used; a split can be named to use one of them."
        return list(range(len(parts))), [told] if len(counts) > 1 else []
    wanted = split_of(split)
    if wanted not in _SHOWN:
        raise DataError(unknown_name("split", split, _SHOWN.values()))
    rows = [i for i, part in enumerate(parts) if part == wanted]
    if not rows:
        have = f"only {shown}" if shown else "no parts"
        raise DataError(f"the split {split!r} must have images, but {source.name!r} has {have}")
    return rows, [f"{len(rows):,} of {counted(len(parts), 'image')} are used, of the part {_SHOWN[wanted]}."]


def _matched(source: Source, info: DatasetInfo) -> tuple[npt.NDArray[np.bool_], Array, dict[str, int]]:
    """Return for each row whether it can be used, its targets, and how many rows have each unknown label."""
    places = _places(source.classes, info)
    if info.task == "classification":
        of_class = np.array(places, dtype=np.int64)
        targets = of_class[np.asarray(source.targets, dtype=np.int64)]
        counts = np.bincount(np.asarray(source.targets, dtype=np.int64), minlength=len(places))
        unknown = {
            name: int(count)
            for name, place, count in zip(source.classes, places, counts, strict=True)
            if place < 0 and count
        }
        return targets >= 0, targets, unknown
    given = np.asarray(source.targets, dtype=np.float32)
    missing = [name for k, name in enumerate(info.classes) if k not in places]
    if info.task == "regression" and missing:
        raise DataError(
            f"the data must have the values that the model predicts ({_listed(info.classes)}), but have "
            f"{_listed(source.classes)}: name the columns as a target"
        )
    targets = np.zeros((len(given), len(info.classes)), dtype=np.float32)
    odd = np.zeros(len(given), dtype=np.bool_)
    unknown = {}
    for name, place, column in zip(source.classes, places, given.T, strict=True):
        if place >= 0:
            targets[:, place] = column
        elif info.task == "multilabel" and (column > 0).any():
            unknown[name] = int((column > 0).sum())
            odd |= column > 0
    # A row with known labels beside unknown ones is still a test of the known ones.
    return ~odd | (targets > 0).any(axis=1) if info.task == "multilabel" else ~odd, targets, unknown


def _places(classes: Sequence[str], info: DatasetInfo) -> list[int]:
    """Return for each class of the data its output, -1 for none. Numbers are equal by value, not by digits."""
    place = {name: k for k, name in enumerate(info.classes)}
    found = [place.get(name, -1) for name in classes]
    if info.task != "classification" or info.label_type not in ("int", "float"):
        return found
    by_value = {value: k for name, k in place.items() if (value := _number(name)) is not None}
    return [
        by_value.get(value, -1) if k < 0 and (value := _number(name)) is not None else k
        for k, name in zip(found, classes, strict=True)
    ]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _told_unknown(source: Source, rows: Sequence[int], left_out: int, unknown: dict[str, int]) -> str:
    names = _listed([f"{printable(short(name))} ({count:,})" for name, count in _most(unknown)])
    one = len(unknown) == 1
    label = "this label" if one else "these labels"
    if not left_out:
        counted_not = "which is not counted" if one else "which are not counted"
        return f"The model does not know {label}, {counted_not}: {names}."
    verb = "is" if left_out == 1 else "are"
    return (
        f"{left_out:,} of {counted(len(rows), 'image')} {verb} left out, because the model does not know {label}: "
        f"{names}."
    )


def _none_known(source: Source, info: DatasetInfo, unknown: dict[str, int]) -> str:
    names = _listed([printable(short(name)) for name, _ in _most(unknown)])
    known = _listed(printable(short(name)) for name in info.classes)
    return f"the data must have labels that the model knows ({known}), but {source.name!r} has only {names}"


def _most(unknown: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(unknown.items(), key=lambda item: (-item[1], item[0]))


def _listed(names: Any) -> str:
    shown = list(names)
    more = len(shown) - _MOST_NAMED
    return ", ".join(shown[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
