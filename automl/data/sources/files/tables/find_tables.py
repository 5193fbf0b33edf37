"""Find the tables that list the images of a folder or an archive."""

from __future__ import annotations

import itertools
import posixpath
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from automl.data.sources.files.base import Files
from automl.data.sources.files.folder_kinds import describes_others
from automl.data.sources.files.split_names import TRAIN, UNLABELLED, split_of, splits_among, words_in
from automl.data.sources.files.tables.columns import (
    Table,
    columns_of,
    make_table,
    no_images,
    target_columns,
)
from automl.data.sources.files.tables.lookup import Lookup, part_in_name
from automl.data.sources.files.tables.read_table import BY_CONTENT, NOTE, SUFFIXES, most_bytes, read_table
from automl.data.sources.files.tables.unread import tables_by_content
from automl.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

# Tables of these names are read first (Hugging Face uses metadata).
# Roboflow calls that of each part _classes.
_NAMES = ("labels", "metadata", "_classes")
# Where tables are looked for: at the top of the data, in the folders of a split, in a folder for annotations.
_TOP, _PARTS, _BESIDE = "top", "parts", "beside"
_FOLDERS = frozenset(
    ("meta", "metadata", "ann", "anns", "lists", "csv", "json")
)  # besides `describes_others`
_INSTANCES = "instances"
_MOST_TOLD, _LOOKED_AT = 3, 20  # tables that a note names; cells, to see whether a table names the images
NO_LABELS = "submission"  # in the name of a table: it lists predictions to be made


def named_tables(files: Files, *, image: str | None = None, group: str | None = None) -> list[Table]:
    """Return the tables called labels or metadata, at the top of a folder or in its split folders.

    Text and JSON files of these names count if their content is a table, and there is no other. `image` and `group`
    name the columns, as in `make_table`.
    """
    around = files.paths.around
    named: dict[str, str] = {}
    for path in files.paths.ending(SUFFIXES):
        stem = posixpath.splitext(posixpath.basename(path))[0]
        if stem.lower() not in _NAMES:
            continue
        inside = posixpath.relpath(posixpath.dirname(path) or ".", around or ".")
        split = "" if split_of(inside) == UNLABELLED else split_of(inside)
        if inside == "." or split:
            named[path] = split
    chosen = [path for path in named if not path.lower().endswith(BY_CONTENT)]
    if not chosen:
        chosen = tables_by_content(files, list(named))
        chosen = [path for path in chosen if path.endswith(posixpath.splitext(chosen[0])[1])]
    found = [_table(files, path, split=named[path], image=image, group=group) for path in chosen]
    return [table for table in found if table is not None]


def other_tables(
    files: Files, *, target: str | None, image: str | None = None, group: str | None = None
) -> tuple[list[Table], DataError | None]:
    """Return tables of any name that list images and labels: at the top, in split folders, or in annotations/.

    Several are parts of a split by their names (train.csv, test.csv), or shards (train-00000-of-00002.parquet), which
    may lie one folder deeper if the folder holds no image files. Damaged tables are no tables of images. Without any,
    the error says why the most likely one is none; None if there is no table. Raises DataError if it is not clear
    which one is meant.
    """
    problem: DataError | None = None
    for place, by_content in itertools.product((_TOP, _PARTS, _BESIDE), (False, True)):
        base = files.paths.around if place == _BESIDE else None
        paths = _candidates(files, place=place, by_content=by_content)
        found, why = _readable(files, paths, image, group, base=base)
        tables, unclear = _with_targets(found if base is None else _of_objects(files, found), target)
        problem = problem or unclear or why
        if tables:
            return _as_parts(files, tables, found, in_folders=place == _PARTS), None
    return [], problem


def told_tables(files: Files, *, without: Collection[str] = ()) -> tuple[str, ...]:
    """Return a note on each of the first tables at the top that name the images, but are not used.

    Those in `without` are used for other things.
    """
    notes = []
    paths = [path for kind in (False, True) for path in _candidates(files, place=_TOP, by_content=kind)]
    paths = [path for path in paths if path not in without]
    for table in _readable(files, paths[:_MOST_TOLD], None, None)[0]:
        others = [name for name in table.frame.columns if name != table.image]
        if others and _names_files(files, table, least=0.5):
            notes.append(
                f"{table.where} names images in its column {table.image!r}, but the class folders are used: --target "
                f"(in Python target) learns another of its columns ({columns_of(table.frame[others])})."
            )
    return tuple(notes)


def unused_tables(files: Files, used: Collection[str]) -> list[str]:
    """Return the tables at the top of the data that are not used, without text and JSON, which may be anything."""
    paths = _candidates(files, place=_TOP, by_content=False)
    return [path for path in paths if path not in used]


def _with_targets(found: Sequence[Table], target: str | None) -> tuple[list[Table], DataError | None]:
    """Return the tables that have the target, those of training first; and why the first one has none."""
    tables: list[Table] = []
    problem: DataError | None = None
    for table in found:
        try:
            columns, _ = target_columns(table, target)
            same = not tables or set(columns) == set(target_columns(tables[0], target)[0])
        except DataError as error:
            problem = problem or error
            continue
        if same:
            tables.append(table)
    return tables, problem


def _as_parts(files: Files, tables: list[Table], found: Sequence[Table], *, in_folders: bool) -> list[Table]:
    """Return tables as parts of a split, by their names or those of their folders."""
    if in_folders:
        return [replace(table, split=split_of(posixpath.basename(table.folder))) for table in tables]
    parts = [_part_of(table, found) for table in tables]
    if len(tables) < 2:
        return tables
    if not all(parts):
        names = ", ".join(sorted(_stem(table) for table in tables))
        raise DataError(
            f"one table must list the images of {files.where!r}, but {names} could: give one of them as the data, or "
            "call it labels"
        )
    if TRAIN not in parts:
        return []
    if len(set(parts)) == 1:
        return tables  # all are of the training images
    return [replace(table, split=part) for table, part in zip(tables, parts, strict=True)]


def _stem(table: Table) -> str:
    return posixpath.splitext(posixpath.basename(table.where))[0]


def _part_of(table: Table, found: Sequence[Table]) -> str:
    return splits_among(map(_stem, found)).get(_stem(table), "")


def _of_objects(files: Files, tables: list[Table]) -> list[Table]:
    """Return COCO's instances_train and the like alone, if they are there: person_keypoints has the same images.

    Without those of which no image is there, such as the training images, if others are.
    """
    tables = [table for table in tables if _INSTANCES in words_in(_stem(table))] or tables
    there = [table for table in tables if _names_files(files, table, least=0.0)]
    left = [table.where for table in tables if there and all(table is not one for one in there)]
    if left:
        said = f"Left out, as none of the first images that they name is there: {', '.join(left)}."
        attrs = there[0].frame.attrs
        attrs[NOTE] = " ".join(filter(None, (attrs.get(NOTE), said)))
    return there or tables


def _names_files(files: Files, table: Table, *, least: float) -> bool:
    """Return whether more than a share `least` of the first cells of a table name files that are there."""
    find = Lookup(files, table.folder, prefer=part_in_name(table.where)).find
    cells = [
        str(cell).strip().replace("\\", "/") for cell in table.frame[table.image].head(_LOOKED_AT).tolist()
    ]
    return sum(find(cell) is not None for cell in cells) > least * len(cells)


def _candidates(files: Files, *, place: str, by_content: bool) -> list[str]:
    """Return the tables in a place: `_TOP`, `_PARTS` of a split, or `_BESIDE`; with `by_content`, text and JSON."""
    around = files.paths.around
    images = bool(files.paths.images.kept)
    found, fits = [], dict[str, bool]()  # by folder: there may be many files in one
    for path in files.paths.ending(SUFFIXES):
        stem, suffix = posixpath.splitext(posixpath.basename(path).lower())
        if (suffix in BY_CONTENT) != by_content or NO_LABELS in stem:
            continue
        folder = posixpath.dirname(path)
        if folder not in fits:
            inside = posixpath.relpath(folder or ".", around or ".")
            fits[folder] = {
                _TOP: inside == "." or (not images and inside.count("/") < 1),
                _PARTS: split_of(inside) not in ("", UNLABELLED),
                _BESIDE: "/" not in inside and (describes_others(inside) or inside.lower() in _FOLDERS),
            }[place]
        if fits[folder]:
            found.append(path)
    return tables_by_content(files, found) if by_content else found


def _readable(
    files: Files, paths: Sequence[str], image: str | None, group: str | None, *, base: str | None = None
) -> tuple[list[Table], DataError | None]:
    """Return the tables of images, those of training first; and why the first of the others is none.

    Their images lie below `base`, by default below the folder of each.
    """
    found: list[Table] = []
    problem: DataError | None = None
    for path in paths:
        try:
            table = _table(files, path, image=image, group=group, base=base)
            if table is not None:
                found.append(table)
            else:
                problem = problem or no_images(_frame(files, path), path)
        except DataError as error:
            problem = problem or error
    return sorted(found, key=lambda table: _part_of(table, found) != TRAIN), problem


def _frame(files: Files, path: str) -> pd.DataFrame:
    try:
        content = files.read(path, most=most_bytes(path))
    except DataError as error:
        raise DataError(f"the table {path!r} in {files.where!r} {error}") from error
    return read_table(path, content, lambda: files.paths)


def _table(
    files: Files, path: str, *, split: str = "", image: str | None, group: str | None, base: str | None = None
) -> Table | None:
    folder = posixpath.dirname(path) if base is None else base
    frame = _frame(files, path)
    find = Lookup(files, folder, prefer=part_in_name(path)).find
    table = make_table(frame, where=path, find=find, folder=folder, split=split, image=image, group=group)
    return table if table is not None and len(table.frame) else None
