"""A folder: of class folders, or with a manifest in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from automl.data.sources.base import Source, require_classification
from automl.data.sources.files.base import Files, FolderFiles
from automl.data.sources.files.class_folders import ClassFolderSource
from automl.data.sources.files.layout import read_layout
from automl.data.sources.files.manifest import find_tables, manifest_source
from automl.errors import DataError


def open_folder(data: Any, *, target: str | None, task: str) -> Source:
    """Open a folder. Raises DataError."""
    return open_files(FolderFiles(Path(data)), target=target, task=task)


def open_files(files: Files, *, target: str | None, task: str) -> Source:
    """The source in the files of a folder or an archive: its manifest, if it has one, else its class folders.

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


def _has_classes(files: Files) -> bool:
    """Whether the folders name two classes: beside them, a table without a label column tells other things."""
    try:
        return len(read_layout(files.paths, where=files.where).classes) > 1
    except DataError:
        return False
