"""A folder of class folders, or one with a manifest in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from automl.data.sources.base import Source, hash_pairs, require_classification
from automl.data.sources.files.base import Files, FolderFiles
from automl.data.sources.files.layout import printable, read_layout
from automl.data.sources.files.manifest import find_tables, manifest_source
from automl.errors import DataError
from automl.records import Task


def open_folder(data: Any, *, target: str | None, task: str) -> Source:
    """Open a folder. Raises DataError."""
    return open_files(FolderFiles(Path(data)), target=target, task=task)


def open_files(files: Files, *, target: str | None, task: str) -> Source:
    """Return the source in a folder or an archive: its manifest, if it has one, else its class folders.

    Closes the files if they cannot be used. Raises DataError.
    """
    try:
        tables = find_tables(files)
        named = target is not None or any(table.label is not None for table in tables)
        if tables and (named or not _has_classes(files)):
            return manifest_source(files, tables, target=target, task=task)
        require_classification(task, target, f"class folders ({files.where!r} holds no manifest)")
        return ClassFolderSource(files)
    except DataError:
        files.close()
        raise


class ClassFolderSource(Source):
    """Images in CLASS/ or SPLIT/CLASS/ of a folder or an archive. Raises DataError if there are none."""

    task: Task = "classification"

    def __init__(self, files: Files) -> None:
        layout = read_layout(files.paths, where=files.where)
        self._files = files
        self._paths = [files.paths[i] for i in layout.kept.tolist()]
        self.name = files.name
        self.files: Sequence[str] = [printable(path) for path in self._paths]
        self.classes = tuple(printable(name) for name in layout.classes)
        self.targets = layout.labels
        self.splits: Sequence[str] = layout.splits
        self.groups: Sequence[str] = [""] * len(self.files)
        self.notes = layout.notes

    def read(self, i: int) -> bytes:
        return self._files.read(self._paths[i])

    def state(self) -> str:
        """Hash names, sizes and times or checksums, and the path of a folder."""
        return hash_pairs(["", *self._paths], [self._files.root_state(), *self._files.states(self._paths)])

    def content(self, digests: Sequence[str]) -> str:
        """Hash relative paths, which hold the classes, and contents."""
        return hash_pairs(self.files, digests)

    def stored(self) -> tuple[Files, Sequence[str]] | None:
        return self._files, self._paths

    def close(self) -> None:
        self._files.close()


def _has_classes(files: Files) -> bool:
    """Return whether the folders name two classes: a table without a label column beside them is no manifest."""
    try:
        return len(read_layout(files.paths, where=files.where).classes) > 1
    except DataError:
        return False
