"""A folder of class folders, or one with a manifest in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from automl.data.sources.base import Source, hash_pairs, require_classification
from automl.data.sources.files.base import Files, FolderFiles
from automl.data.sources.files.folder_kinds import says_nothing
from automl.data.sources.files.layout import Layout, printable, read_layout
from automl.data.sources.files.manifest import manifest_source
from automl.data.sources.files.tables.find_tables import named_tables, other_tables, told_tables
from automl.errors import DataError
from automl.records import ReadOptions, Task


def open_folder(data: Any, options: ReadOptions) -> Source:
    """Open a folder. Raises DataError."""
    return open_files(FolderFiles(Path(data)), options)


def open_files(files: Files, options: ReadOptions) -> Source:
    """Return the source in a folder or an archive: its manifest, if it has one, else its class folders.

    A table called labels or metadata that says what to learn is its manifest, and, without class folders or if a column
    is named, a table of any name. Closes the files if they cannot be used. Raises DataError.
    """
    try:
        layout, no_classes = _class_folders(files)
        target, image, group = options.target, options.image_column, options.group_column
        asked = any(name is not None for name in (target, image, group))
        folders = layout is not None and len(layout.classes) > 1 and not asked
        tables = named_tables(files, image=image, group=group)
        problem: DataError | None = None
        if folders and not any(table.label is not None for table in tables):
            tables = []
        if not tables and not (folders and layout is not None and not says_nothing(layout.classes)):
            tables, problem = other_tables(files, target=target, image=image, group=group)
        if tables:
            return manifest_source(files, tables, target=target, task=options.task)
        if problem is not None:
            raise problem
        column = image or group
        if column is not None:
            raise DataError(
                f"the column {column!r} must be one of a table, but {files.where!r} holds no table of images: leave it "
                "out, or give a table"
            )
        require_classification(options.task, target, f"class folders ({files.where!r} holds no manifest)")
        if layout is None:
            raise no_classes
        return ClassFolderSource(files, layout, told_tables(files))
    except DataError:
        files.close()
        raise


class ClassFolderSource(Source):
    """Images in CLASS/, SPLIT/CLASS/ or CLASS/SPLIT/ of a folder or an archive."""

    task: Task = "classification"

    def __init__(self, files: Files, layout: Layout, notes: tuple[str, ...] = ()) -> None:
        self._files = files
        self._paths = [files.paths[i] for i in layout.kept.tolist()]
        self.name = files.name
        self.files: Sequence[str] = [printable(path) for path in self._paths]
        self.classes = tuple(printable(name) for name in layout.classes)
        self.targets = layout.labels
        self.splits: Sequence[str] = layout.splits
        self.groups: Sequence[str] = [""] * len(self.files)
        self.notes = (*files.notes, *layout.notes, *notes)

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


def _class_folders(files: Files) -> tuple[Layout | None, DataError]:
    """Return the class folders; None, and why, if there are none."""
    try:
        return read_layout(files.paths, where=files.where), DataError()
    except DataError as error:
        return None, error
