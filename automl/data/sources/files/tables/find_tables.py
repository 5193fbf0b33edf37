"""Find the tables that list the images of a folder or an archive."""

from __future__ import annotations

import posixpath
from dataclasses import replace

from automl.data.sources.files.base import Files
from automl.data.sources.files.layout import IMAGE_SUFFIXES
from automl.data.sources.files.split_names import TRAIN, UNLABELLED, split_of, splits_among
from automl.data.sources.files.tables.columns import Table, make_table, target_columns
from automl.data.sources.files.tables.lookup import Lookup
from automl.data.sources.files.tables.read_table import SUFFIXES, most_bytes, read_table
from automl.errors import DataError

# Tables of these names are read first (Hugging Face uses metadata).
_NAMES = ("labels", "metadata")
_NO_LABELS = "submission"  # in the name of a table: it lists predictions to be made


def named_tables(files: Files, *, image: str | None = None, group: str | None = None) -> list[Table]:
    """Return the tables called labels or metadata, at the top of a folder or in its split folders.

    `image` and `group` name their columns, as in `make_table`.
    """
    tables = []
    around = _around(files)
    for path in files.paths:
        stem, suffix = posixpath.splitext(posixpath.basename(path))
        if stem.lower() not in _NAMES or suffix.lower() not in SUFFIXES:
            continue
        inside = posixpath.relpath(posixpath.dirname(path) or ".", around or ".")
        split = "" if split_of(inside) == UNLABELLED else split_of(inside)
        if inside == "." or split:
            found = _table(files, path, split=split, image=image, group=group)
            tables += [found] if found is not None else []
    return tables


def other_tables(
    files: Files, *, target: str | None, image: str | None = None, group: str | None = None
) -> list[Table]:
    """Return tables of any name at the top of the folder that list images and what to learn.

    Several are parts of a split by their names (train.csv, test.csv), or shards (train-00000-of-00002.parquet), which
    may lie one folder deeper if the folder holds no image files. Damaged tables are no tables of images. Raises
    DataError if it is not clear which one is meant.
    """
    read = [_readable(files, path, image, group) for path in _candidates(files)]
    found = [table for table in read if table is not None]
    by_name = {table.where: posixpath.splitext(posixpath.basename(table.where))[0] for table in found}
    splits = splits_among(by_name.values())
    found.sort(key=lambda table: splits.get(by_name[table.where]) != TRAIN)  # training tables have the labels
    tables: list[Table] = []
    for table in found:
        try:
            columns, _ = target_columns(table, target)
            same = not tables or set(columns) == set(target_columns(tables[0], target)[0])
        except DataError:
            continue
        if same:
            tables.append(table)
    parts = [splits.get(by_name[table.where], "") for table in tables]
    if len(tables) < 2:
        return tables
    if not all(parts):
        names = ", ".join(sorted(by_name[table.where] for table in tables))
        raise DataError(
            f"one table must list the images of {files.where!r}, but {names} could: give one of them as the data, or "
            "call it labels"
        )
    if TRAIN not in parts:
        return []
    if len(set(parts)) == 1:
        return tables  # all are of the training images
    return [replace(table, split=part) for table, part in zip(tables, parts, strict=True)]


def _candidates(files: Files) -> list[str]:
    around = _around(files)
    images = any(posixpath.splitext(path)[1].lower() in IMAGE_SUFFIXES for path in files.paths)
    found = []
    for path in files.paths:
        stem, suffix = posixpath.splitext(posixpath.basename(path).lower())
        depth = posixpath.relpath(posixpath.dirname(path) or ".", around or ".").count("/")
        top = posixpath.dirname(path) == around or (not images and depth < 1)
        if top and suffix in SUFFIXES and _NO_LABELS not in stem:
            found.append(path)
    return found


def _around(files: Files) -> str:
    """Return the folder around all files."""
    folders = {posixpath.dirname(path) for path in files.paths}
    return posixpath.commonpath(folders) if folders else ""


def _readable(files: Files, path: str, image: str | None, group: str | None) -> Table | None:
    try:
        return _table(files, path, image=image, group=group)
    except DataError:
        return None


def _table(files: Files, path: str, *, split: str = "", image: str | None, group: str | None) -> Table | None:
    folder = posixpath.dirname(path)
    try:
        content = files.read(path, most=most_bytes(path))
    except DataError as error:
        raise DataError(f"the table {path!r} in {files.where!r} {error}") from error
    frame = read_table(path, content)
    find = Lookup(files, folder).find
    table = make_table(frame, where=path, find=find, folder=folder, split=split, image=image, group=group)
    return table if table is not None and len(table.frame) else None
