"""Images listed in a table: CSV, Parquet, JSON, a list in a text file, or a DataFrame."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any

from automl.data.sources.base import Source, counted, hash_lines
from automl.data.sources.cells import groups_of
from automl.data.sources.files.base import Files, LooseFiles
from automl.data.sources.files.layout import printable
from automl.data.sources.files.listed_split.repeated_rows import in_one_part
from automl.data.sources.files.tables.class_names import with_class_names
from automl.data.sources.files.tables.columns import (
    Table,
    columns_of,
    make_table,
    no_images,
    put_together,
    table_note,
    target_columns,
)
from automl.data.sources.files.tables.groups import kin_notes
from automl.data.sources.files.tables.lookup import Lookup, part_in_name
from automl.data.sources.files.tables.read_table import (
    BY_CONTENT,
    NOTE,
    SUFFIXES,
    UNTYPED,
    holds_images,
    most_bytes,
    read_table,
)
from automl.data.sources.files.tables.split_columns import assigned_parts, find_split_columns
from automl.data.sources.labels import Labels, read_labels
from automl.documents.bounded_file import read_bounded
from automl.errors import DataError
from automl.records import ReadOptions

if TYPE_CHECKING:
    import pandas as pd


_ELSEWHERE = re.compile(r"data:|(?:https?|s3|gs|ftp)://", re.IGNORECASE)
_LONG = 100  # characters of a cell that a message shows


class ManifestSource(Source):
    """The rows of a table; made by `manifest_source`. `cells` are paths in `files`, or image bytes."""

    def __init__(
        self, files: Files, names: Sequence[str], cells: Sequence[str | bytes], labels: Labels
    ) -> None:
        self._files = files
        self._cells = cells
        self.name = files.name
        self.files: Sequence[str] = names
        self.task, self.classes, self.targets = labels.task, labels.classes, labels.targets
        self.splits: Sequence[str] = [""] * len(names)
        self.groups: Sequence[str] = [""] * len(names)
        self.notes: tuple[str, ...] = labels.notes
        self.label_type = labels.label_type

    def read(self, i: int) -> bytes:
        cell = self._cells[i]
        return cell if isinstance(cell, bytes) else self._files.read(cell)

    def state(self) -> str:
        """Hash the names, sizes and times or checksums of the images, and the path of their folder."""
        states = iter(self._files.states([cell for cell in self._cells if isinstance(cell, str)]))
        found = (
            hashlib.sha256(cell).hexdigest() if isinstance(cell, bytes) else next(states)
            for cell in self._cells
        )
        lines = [f"{name}\0{state}" for name, state in zip(self.files, found, strict=True)]
        return hash_lines([*lines, self._files.root_state()])

    def stored(self) -> tuple[Files, Sequence[str]] | None:
        """Return the files and the path of each row; None if the table holds image bytes."""
        paths = [cell for cell in self._cells if isinstance(cell, str)]
        return (self._files, paths) if len(paths) == len(self._cells) else None

    def close(self) -> None:
        self._files.close()


def open_manifest(data: Any, options: ReadOptions) -> Source:
    """Open a table or a list of images; its paths are relative to its folder. Raises DataError."""
    path = Path(data)
    try:
        content = read_bounded(path, most_bytes(path.name))
    except (OSError, ValueError) as error:
        raise DataError(
            f"a manifest must be readable, but {str(path)!r} is not ({getattr(error, 'strerror', None) or error})"
        ) from error
    files = LooseFiles(path.parent, name=path.stem)
    frame = read_table(path.name, content, Lookup(files, "").paths)
    table = require_images(
        frame, files, where=str(path), image=options.image_column, group=options.group_column
    )
    return manifest_source(files, [table], target=options.target, task=options.task)


def open_frame(data: Any, options: ReadOptions) -> Source:
    """Open a pandas DataFrame; its paths are relative to the current folder. Raises DataError."""
    frame = data.reset_index(drop=True)
    frame.columns = [str(column) for column in frame.columns]
    files = LooseFiles(Path(), name="table")
    table = require_images(
        frame, files, where="the DataFrame", image=options.image_column, group=options.group_column
    )
    return manifest_source(files, [table], target=options.target, task=options.task)


def is_manifest(path: Path) -> bool:
    """Return whether the name is that of a table; for text and JSON, whether the content is one."""
    suffix = path.suffix.lower()
    if suffix not in BY_CONTENT:
        return suffix in SUFFIXES
    try:
        content = read_bounded(path, most_bytes(path.name))
    except (OSError, ValueError):  # other kinds of data are tried, and the last one says what is wrong
        return False
    return holds_images(path.name, content, labelled=False)


def require_images(
    frame: pd.DataFrame, files: Files, *, where: str, image: str | None, group: str | None = None
) -> Table:
    """Return the table in a frame. Raises DataError if it has no rows, or no column of images."""
    find = Lookup(files, "", prefer=part_in_name(where)).find
    table = make_table(frame, where=where, find=find, image=image, group=group)
    if table is None:
        raise no_images(frame, where)
    if not len(table.frame):
        raise DataError(f"a manifest must have rows, but {where!r} has none")
    return table


def manifest_source(
    files: Files, tables: Sequence[Table], *, target: str | None, task: str
) -> ManifestSource:
    """Return the images and targets in `tables`, which have the same columns. Raises DataError."""
    import pandas as pd

    tables = with_class_names(files, tables)
    frame = pd.concat([table.frame for table in tables], ignore_index=True)
    first = tables[0]
    columns, unused = target_columns(replace(first, frame=frame), target)
    typed = not all(PurePosixPath(table.where).suffix.lower() in UNTYPED for table in tables)
    labels = read_labels({name: frame[name].tolist() for name in columns}, task=task, typed=typed)
    cells, told = _cells(files, tables)
    parts = find_split_columns(frame, (first.image, first.group, *columns))
    given = [table.split for table in tables for _ in range(len(table.frame))]
    splits, unassigned = assigned_parts(frame, parts, given, first.where)
    groups, same = (
        groups_of(frame[first.group], first.group) if first.group is not None else ([""] * len(frame), ())
    )
    kept = [i for i, keep in enumerate(labels.kept.tolist()) if keep]
    names, again, repeats = _names([cells[i] for i in kept], labels)
    source = ManifestSource(files, names, [cells[i] for i in kept], labels)
    images = [(cells[i], target.tobytes()) for i, target in zip(kept, labels.targets, strict=True)]
    source.splits, moved = in_one_part(images, [splits[i] for i in kept], names, first.where)
    source.groups = [groups[i] for i in kept]
    read = tuple(dict.fromkeys(table.frame.attrs[NOTE] for table in tables if NOTE in table.frame.attrs))
    source.notes = (
        *files.notes,
        *read,
        *put_together(tables),
        table_note(first, columns, parts),
        *told,
        *source.notes,
    )
    source.notes += (*unassigned, *moved, *same)
    if first.group is None:
        source.notes += kin_notes(frame, (first.image, *columns), splits)
    if unused:
        source.notes += (
            f"Columns not used: {', '.join(unused)}; --target (in Python target) names others to learn.",
        )
    if again:
        source.notes += (f"{counted(again, 'file')} named in several rows with different labels.",)
    return _without(source, repeats) if repeats else source


def table_cells(files: Files, table: Table) -> tuple[list[str | bytes], Lookup]:
    """Return image bytes or the path in `files` for each row, and the lookup that has found the paths."""
    lookup = Lookup(files, table.folder, prefer=part_in_name(table.where))
    return [_cell(lookup, table, value) for value in table.frame[table.image].tolist()], lookup


def _cells(files: Files, tables: Sequence[Table]) -> tuple[list[str | bytes], tuple[str, ...]]:
    """Return the cells of all tables, and how their files were found. Raises DataError if none is there."""
    cells: list[str | bytes] = []
    told: list[str] = []
    for table in tables:
        found, lookup = table_cells(files, table)
        cells += found
        told += lookup.notes()
        _require_any(files, found, table, lookup)
    return cells, tuple(told)


def _cell(lookup: Lookup, table: Table, value: Any) -> str | bytes:
    """Return image bytes, or the path of the file; if there is none, the path beside the table."""
    if isinstance(value, dict):  # Hugging Face's Parquet files
        value = value.get("bytes") or value.get("path") or ""
    if isinstance(value, bytes):
        return value
    if value is not None and not isinstance(value, (str, PurePath, int, float)):
        raise DataError(
            f"the column {table.image!r} must hold paths or the bytes of images, not {type(value).__name__}: give "
            "images in memory as two lists, fit(images, labels)"
        )
    text = str(value).strip().replace("\\", "/")
    found = lookup.find(text)
    return posixpath.normpath(posixpath.join(table.folder, text)) if found is None else found


def _require_any(files: Files, cells: Sequence[str | bytes], table: Table, lookup: Lookup) -> None:
    paths = [cell for cell in cells if isinstance(cell, str)]
    if not paths or len(paths) < len(cells) or any(files.has(path) for path in paths):
        return
    first = str(table.frame[table.image].iloc[0])
    if (kind := _ELSEWHERE.match(first)) is not None:
        what = (
            "are the images themselves"
            if kind[0].lower() == "data:"
            else "are addresses, and nothing is downloaded"
        )
        raise DataError(
            f"the column {table.image!r} of {table.where!r} must name files, but its cells {what} (the first is "
            f"{first[:_LONG]!r}): save the images in {files.where!r}, and name these files"
        )
    several = lookup.places(first)
    if len(several) > 1:
        hint = f"it may be {several[0]!r} or {several[1]!r}: add the folder and the extension to the cells"
    else:
        hint = (
            "correct them (also their extensions), move the table, or name another column with --image-column (it has "
            f"{columns_of(table.frame)})"
        )
    raise DataError(
        f"the paths in column {table.image!r} of {table.where!r} must be relative to {files.where!r}, but none "
        f"of {counted(len(paths), 'file')} is there, the first is {first!r}: {hint}"
    )


def _names(cells: Sequence[str | bytes], labels: Labels) -> tuple[list[str], int, list[int]]:
    """Return unique printable names, the count of files with a second label, and rows that repeat another."""
    seen: Counter[str | bytes] = Counter()
    first: set[tuple[str | bytes, bytes]] = set()
    names, again, repeats = [], 0, []
    width = max(5, len(str(len(cells))))
    for i, cell in enumerate(cells):
        name = f"{i:0{width}d}" if isinstance(cell, bytes) else printable(cell)
        known = (cell, labels.targets[i].tobytes())
        if known in first:
            repeats.append(i)
        elif seen[cell]:
            again += 1
        first.add(known)
        seen[cell] += 1
        names.append(name if seen[cell] == 1 or isinstance(cell, bytes) else f"{name} ({seen[cell]})")
    return names, again, repeats


def _without(source: ManifestSource, rows: Sequence[int]) -> ManifestSource:
    left = sorted(set(range(len(source.files))) - set(rows))
    source.files = [source.files[i] for i in left]
    source._cells = [source._cells[i] for i in left]
    source.targets = source.targets[left]
    source.splits = [source.splits[i] for i in left]
    source.groups = [source.groups[i] for i in left]
    source.notes += (
        f"{counted(len(rows), 'row')} left out, as {'it repeats' if len(rows) == 1 else 'they repeat'} another.",
    )
    return source
