"""A folder of class folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from automl.data.pixels import open_header
from automl.data.sources.base import Labels, digests_of, hash_lines, load_row, require_classification
from automl.data.sources.layout import printable, read_layout
from automl.errors import DataError
from automl.records import Task


class FolderSource:
    """Pictures in `root/CLASS/` or `root/SPLIT/CLASS/`. Raises DataError if there are none."""

    task: Task = "classification"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = root.resolve().name
        entries = sorted(_walk(root))
        layout = read_layout([path for path, _, _ in entries], where=str(root))
        self._entries = [entries[i] for i in layout.kept]
        self.files: Sequence[str] = [printable(path) for path, _, _ in self._entries]
        self.classes = tuple(printable(name) for name in layout.classes)
        self.labels: Labels = np.array(layout.labels, dtype=np.int64)
        self.splits: Sequence[str] = layout.splits
        self.notes = layout.notes

    @property
    def targets(self) -> Labels:
        """The labels."""
        return self.labels

    def read(self, i: int) -> bytes:
        """The bytes of file i. Raises DataError if it cannot be read."""
        try:
            return (self.root / self._entries[i][0]).read_bytes()
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror or error})") from error

    def decode(self, data: bytes) -> Image.Image:
        """The picture in the bytes of a file. Raises DataError with a short reason."""
        return open_header(data)

    def load(self, i: int) -> Image.Image:
        """The picture of file i. Raises DataError ("FILE: reason")."""
        return load_row(self, i)

    def state(self) -> str:
        """Hash of the place, names, sizes and times of change."""
        lines = [f"{path}\0{size}\0{changed}" for path, size, changed in self._entries]
        return hash_lines([*lines, str(self.root.resolve())])

    def fingerprint(self) -> str:
        """Hash of relative paths and contents."""
        return self.content(digests_of(self))

    def content(self, digests: Sequence[str]) -> str:
        """The fingerprint from the SHA-256 of every file."""
        return hash_lines(f"{file}\0{digest}" for file, digest in zip(self.files, digests, strict=True))

    def close(self) -> None:
        """Nothing is open."""


def open_folder(data: Any, *, target: str | None, task: str) -> FolderSource:
    """Open a folder of class folders. Raises DataError."""
    require_classification(task, target, "a folder of class folders")
    return FolderSource(Path(data))


def _walk(root: Path) -> Iterator[tuple[str, int, int]]:
    """(relative path, size, time of change in ns) of every file; links are followed, loops are not."""
    seen: set[tuple[int, int]] = set()
    pending = [(str(root), "")]
    while pending:
        folder, prefix = pending.pop()
        try:
            info = Path(folder).stat()
            if (info.st_dev, info.st_ino) in seen:
                continue
            seen.add((info.st_dev, info.st_ino))
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir():
                        pending.append((entry.path, f"{prefix}{entry.name}/"))
                    elif entry.is_file():
                        found = entry.stat()
                        yield f"{prefix}{entry.name}", found.st_size, found.st_mtime_ns
        except OSError as error:
            raise DataError(
                f"every folder of the data must be readable, but {folder!r} is not ({error.strerror}): "
                "change its permissions or move it away"
            ) from error
