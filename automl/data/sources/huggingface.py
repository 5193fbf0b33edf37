"""`hf:NAME`: a data set of the Hugging Face hub, or a folder that its library has saved."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from automl.data.readers import MAX_MEMBER_BYTES
from automl.data.sources.base import Source, hash_lines
from automl.data.sources.files.split_names import UNLABELLED, split_of
from automl.data.sources.labels import read_labels
from automl.documents.bounded_file import read_bounded
from automl.errors import DataError, unknown_name
from automl.machine import hub_answers
from automl.records import ReadOptions

PREFIX = "hf:"
_IMAGES = ("image", "img", "picture", "pixel_values")
_LABELS = ("label", "labels", "target", "class", "fine_label")


class HubSource(Source):
    """The rows of all splits of a data set, read from its Arrow files one by one."""

    def __init__(
        self, splits: Sequence[tuple[str, Any]], *, name: str, target: str | None, task: str
    ) -> None:
        from datasets import Image, concatenate_datasets

        self.name = name
        first = splits[0][1]
        self._image = _image_column(first)
        columns = _label_columns(first, self._image, target)
        rows = concatenate_datasets([part.with_format(None) for _, part in splits]).cast_column(
            self._image, Image(decode=False)
        )
        self._rows = rows
        labels = read_labels({column: _cells(rows, column) for column in columns}, task=task)
        self._kept = np.flatnonzero(labels.kept)
        self.task, self.classes, self.targets = labels.task, labels.classes, labels.targets
        self.notes: tuple[str, ...] = labels.notes
        self.label_type = labels.label_type
        given = [split for split, part in splits for _ in range(len(part))]
        width = max(5, len(str(len(given))))
        self.files: Sequence[str] = [f"{i:0{width}d}" for i in self._kept.tolist()]
        self.splits: Sequence[str] = [given[i] for i in self._kept.tolist()]
        self.groups: Sequence[str] = [""] * len(self.files)

    def read(self, i: int) -> bytes:
        cell = self._rows[int(self._kept[i])][self._image] or {}
        if cell.get("bytes"):
            return bytes(cell["bytes"])
        try:
            return read_bounded(cell.get("path") or "", MAX_MEMBER_BYTES)
        except (OSError, ValueError) as error:
            raise DataError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error

    def state(self) -> str:
        """Hash the library's fingerprint of the rows, which reflects all operations on them."""
        files = [str(file["filename"]) for file in self._rows.cache_files]
        stats = [f"{name}\0{Path(name).stat().st_mtime_ns}" for name in files if Path(name).is_file()]
        return hash_lines([f"{self._rows._fingerprint}\0{len(self._rows)}\0{self._image}", *stats])


def is_hub(data: Any) -> bool:
    """Return whether it is a text hf:NAME, or an opened Dataset or DatasetDict of the library."""
    if isinstance(data, str):
        return data.startswith(PREFIX)
    kind = type(data)
    return kind.__module__.startswith("datasets.") and kind.__name__ in ("Dataset", "DatasetDict")


def open_hub(data: Any, options: ReadOptions) -> Source:
    """Open hf:NAME, hf:FOLDER saved by `save_to_disk`, or a Dataset or DatasetDict of the library.

    Its splits are kept; HF_HOME sets the folder of its files. Raises DataError if the library is missing, and if the
    set is not in its cache and cannot be downloaded.
    """
    if not isinstance(data, str):
        opened = dict(data) if isinstance(data, dict) else {"train": data}
        return _source_of(opened, said=f"the {type(data).__name__}", name="dataset", options=options)
    name = str(data).removeprefix(PREFIX)
    online = Path(name).is_dir() or hub_answers()
    if not online:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # otherwise the library retries for minutes
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            f"{data} needs the package datasets: pip install 'automl[hf]', or give a folder of images"
        ) from error
    found = _load(datasets, name, online=online)
    return _source_of(found, said=data, name=Path(name).name, options=options)


def _source_of(found: dict[str, Any], *, said: str, name: str, options: ReadOptions) -> Source:
    """Return the source of the splits of a data set. Raises DataError, which calls the data `said`."""
    known = {
        split: rows for split, rows in found.items() if split_of(split) not in ("", UNLABELLED) and len(rows)
    }
    parts = [(split_of(split), rows) for split, rows in known.items()]
    if "train" not in [part for part, _ in parts] or len(parts) == 1:
        parts = [("", rows) for rows in found.values() if len(rows)]
    if not parts:
        raise DataError(f"{said} must have rows, but it has none: choose another")
    source = HubSource(parts, name=name, target=options.target, task=options.task)
    left = sorted(set(found) - set(known))
    if left and parts[0][0]:
        source.notes += (f"Splits beside train and test left out: {', '.join(left)}.",)
    return source


def _load(datasets: Any, name: str, *, online: bool) -> dict[str, Any]:
    try:
        with redirect_stdout(sys.stderr):
            if Path(name).is_dir():
                found = datasets.load_from_disk(name)
            else:
                config = datasets.DownloadConfig(max_retries=1, local_files_only=not online)
                found = datasets.load_dataset(name, download_config=config)
    except Exception as error:  # the library and its dependencies raise nearly anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        hint = "check the name" if online else "the hub cannot be reached"
        raise DataError(
            f"{PREFIX}{name} must be on the hub or in its cache, but it cannot be opened ({reason[:120]}): {hint}, or "
            f"save it elsewhere with save_to_disk and give {PREFIX}FOLDER (HF_HOME moves the cache)"
        ) from error
    return dict(found) if isinstance(found, dict) else {"train": found}


def _image_column(rows: Any) -> str:
    kinds = {name: type(feature).__name__ for name, feature in rows.features.items()}
    found = [name for name, kind in kinds.items() if kind == "Image"]
    named = [name for name in found if name in _IMAGES]
    if not found:
        raise DataError(
            f"a data set of the hub must have a column of images, but its columns are {', '.join(kinds)}: choose "
            "another, or cast the column to datasets.Image()"
        )
    return str((named or found)[0])


def _label_columns(rows: Any, image: str, target: str | None) -> list[str]:
    others = [name for name in rows.column_names if name != image]
    if target is not None:
        names = [target] if target in others else [part.strip() for part in target.split(",")]
        for name in names:
            if name not in others:
                raise DataError(unknown_name("target column", name, others))
        return names
    found = [name for name in others if name in _LABELS] or others
    if len(found) != 1 and not any(name in _LABELS for name in found):
        raise DataError(
            f"a data set of the hub must have a column label, but its columns are {', '.join(others)}: name the one to "
            "learn with --target"
        )
    return found[:1]


def _cells(rows: Any, column: str) -> list[Any]:
    """Return the cells of a column, with classes by name."""
    feature = rows.features[column]
    values = list(rows[column])
    if type(feature).__name__ == "ClassLabel":
        return [None if value is None or value < 0 else feature.int2str(int(value)) for value in values]
    inner: Any = getattr(feature, "feature", None)
    if type(inner).__name__ == "ClassLabel":
        return [[inner.int2str(int(value)) for value in cell] for cell in values]
    return values
