"""A folder of class folders, or one with a manifest in it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from automl.data.sources.base import Source, counted, hash_pairs, require_classification
from automl.data.sources.files.annotations.xml_objects import object_tables
from automl.data.sources.files.base import Files, FolderFiles
from automl.data.sources.files.file_names import read_file_names
from automl.data.sources.files.folder_kinds import listed, says_nothing
from automl.data.sources.files.layout import Layout, printable, read_layout
from automl.data.sources.files.listed_split.labelled_parts import with_labelled_parts
from automl.data.sources.files.listed_split.match import give_listed_split, with_listed_split
from automl.data.sources.files.manifest import ManifestSource, manifest_source
from automl.data.sources.files.tables.columns import Table
from automl.data.sources.files.tables.find_tables import (
    named_tables,
    other_tables,
    told_tables,
    unused_tables,
)
from automl.data.sources.files.tables.unread import unread_beside
from automl.errors import DataError
from automl.records import ReadOptions, Task


def open_folder(data: Any, options: ReadOptions) -> Source:
    """Open a folder. Raises DataError."""
    return open_files(FolderFiles(Path(data)), options)


def open_files(files: Files, options: ReadOptions) -> Source:
    """Return the source in a folder or an archive: its manifest, its class folders, or the classes in names of files.

    A table called labels or metadata that says what to learn is its manifest, and, without class folders or if a column
    is named, a table of any name. Without both, names such as cat.0.jpg say the classes, or XML of objects. Closes the
    files if they cannot be used. Raises DataError.
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
        if not tables and problem is None and not asked:
            tables = _kinds_of_objects(files, layout)
        if tables:
            source = manifest_source(files, tables, target=target, task=options.task)
            used = [table.where for table in tables]
            used += give_listed_split(files, source, used)
            source.notes += unused_beside(files, source, used)
            return source
        if problem is not None:
            raise problem
        column = image or group
        if column is not None:
            raise DataError(
                f"the column {column!r} must be one of a table, but {files.where!r} holds no table of images: leave it "
                "out, or give a table"
            )
        require_classification(options.task, target, f"class folders ({files.where!r} holds no manifest)")
        layout, tables_of_parts = with_labelled_parts(files, _by_folders_or_names(files, layout, no_classes))
        layout, lists = with_listed_split(files, layout)
        return ClassFolderSource(files, layout, told_tables(files, without=lists | tables_of_parts))
    except DataError:
        files.close()
        raise


def unused_beside(files: Files, source: ManifestSource, used: Collection[str]) -> tuple[str, ...]:
    """Return notes on images in no row of the tables, and on other tables at the top of the data."""
    stored = source.stored()
    images = [files.paths[i] for i in files.paths.images.kept]
    named = set(stored[1] if stored else ())
    left = [path for path in images if path not in named] if named else []
    notes = []
    if left:
        rows = "the table" if len(used) == 1 else "the tables"
        notes.append(
            f"{counted(len(left), 'image')} in no row of {rows} with a label, and not used, such as "
            f"{printable(left[0])}."
        )
    others = unused_tables(files, used)
    if others:
        notes.append(f"Other tables, not used: {listed(map(printable, others))}.")
    return tuple(notes)


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
        return read_layout(files.paths, where=files.where, found=files.paths.images), DataError()
    except DataError as error:
        return None, error


def _kinds_of_objects(files: Files, layout: Layout | None) -> list[Table]:
    """Return what XML says of the images, if neither class folders nor names of files say classes."""
    if layout is not None and len(layout.classes) > 1:
        return []
    found = object_tables(files)
    return [] if found and read_file_names(files.paths, files.paths.images)[0] is not None else found


def _by_folders_or_names(files: Files, layout: Layout | None, no_classes: DataError) -> Layout:
    """Return the layout of class folders, or, where there are fewer than two, that of names of files.

    Raises DataError, which also says why names are no classes and which table beside the images cannot be read.
    """
    if layout is not None and len(layout.classes) > 1:
        return layout
    named, why = read_file_names(files.paths, files.paths.images)
    if named is not None:
        return named
    unread = unread_beside(files, files.paths.around, sheets=layout is not None)
    if layout is not None and not unread:
        return layout
    reasons = [str(no_classes)] if layout is None else [f"{files.where!r} holds only one folder of images"]
    reasons += [f"the names of the files are not taken for classes, as {why}"] if why else []
    raise DataError("; ".join((*reasons, *unread))) from no_classes
