"""Several Datasets one after the other, as the parts of one set of data."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from automl.data.sources.base import hash_lines
from automl.data.sources.torch_dataset import DatasetSource

# `_labels` is private to torchvision, where seven of its sets keep what others call `targets`. Where it is gone, every
# image is decoded once more to learn its label.
_LABELS = ("targets", "labels", "_labels")


class Joined:
    """Items of several map-style Datasets, in order; `targets` where all of them know their labels."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self._parts = parts
        self._ends = list(itertools.accumulate(len(part) for part in parts))
        self.classes = getattr(parts[0], "classes", None)
        labels = [_labels(part) for part in parts]
        if all(found is not None for found in labels):
            self.targets = [label for found in labels if found is not None for label in found]

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, i: int) -> Any:
        part = bisect.bisect_right(self._ends, i)
        return self._parts[part][i - (self._ends[part - 1] if part else 0)]


class JoinedSource(DatasetSource):
    """Datasets with the parts that they stand for ("" where there is one alone), and the folder of their files."""

    def __init__(self, parts: dict[str, Any], *, name: str, folder: Path, task: str) -> None:
        super().__init__(Joined(list(parts.values())), task=task)
        self.name = name
        self.splits = [part for part, items in parts.items() for _ in range(len(items))]
        self._folder = folder

    def state(self) -> str:
        """Hash of the names, sizes and times of the files in the folder."""
        files = sorted(path for path in self._folder.rglob("*") if path.is_file())
        found = ((path, path.stat()) for path in files)
        return hash_lines(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}" for path, stat in found)


def _labels(part: Any) -> list[Any] | None:
    for name in _LABELS:
        values = getattr(part, name, None)
        if values is not None and hasattr(values, "__len__") and len(values) == len(part):
            return list(values.tolist() if hasattr(values, "tolist") else values)
    return None
