"""Images listed in a table: CSV, Parquet, JSON lines, or a DataFrame."""

from __future__ import annotations

import hashlib
import posixpath
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.data.sources.base import Source, counted, hash_lines
from automl.data.sources.files.base import Files, LooseFiles
from automl.data.sources.files.layout import SPLIT_FOLDERS, printable
from automl.data.sources.files.tables import SUFFIXES, read_table
from automl.data.sources.labels import Labels, is_bits, is_numbers, read_labels
from automl.errors import DataError, unknown_name

if TYPE_CHECKING:
    import pandas as pd

IMAGE_COLUMNS = ("image", "image_path", "file_name", "path")
LABEL_COLUMNS = ("label", "labels", "target", "class")
_OTHER_COLUMNS = ("split", "group", "is_valid", "id", "index", "")
# In a folder only files of these names are read as tables of its images (Hugging Face uses metadata).
_TABLE_NAMES = ("labels", "metadata")
_SPLITS = {
    **SPLIT_FOLDERS,
    **{"training": "train", "dev": "val", "testing": "holdout", "holdout": "holdout", "": ""},
}
_TRUE, _FALSE = ("true", "1", "1.0", "yes"), ("false", "0", "0.0", "no", "")


@dataclass(frozen=True)
class Table:
    """A table with a column of images. Its paths are relative to `folder`, which says the `split`."""

    where: str
    folder: str
    split: str
    frame: pd.DataFrame
    image: str
    label: str | None


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


def open_manifest(data: Any, *, target: str | None, task: str) -> Source:
    """Open a CSV, Parquet or JSON lines file; its paths are relative to its folder. Raises DataError."""
    path = Path(data)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"a manifest must be readable, but {str(path)!r} is not ({error.strerror})"
        ) from error
    files = LooseFiles(path.parent, name=path.stem)
    table = _require_images(_table(read_table(path.name, content), where=str(path)), str(path))
    return manifest_source(files, [table], target=target, task=task)


def open_frame(data: Any, *, target: str | None, task: str) -> Source:
    """Open a pandas DataFrame; its paths are relative to the current folder. Raises DataError."""
    frame = data.reset_index(drop=True)
    frame.columns = [str(column) for column in frame.columns]
    table = _require_images(_table(frame, where="the DataFrame"), "the DataFrame")
    return manifest_source(LooseFiles(Path(), name="table"), [table], target=target, task=task)


def is_manifest(path: Path) -> bool:
    """Return whether the name is that of a table."""
    return path.suffix.lower() in SUFFIXES


def find_tables(files: Files) -> list[Table]:
    """Return the tables of images called labels or metadata, at the top of a folder or in its split folders."""
    folders = {path.rpartition("/")[0] for path in files.paths}
    around = posixpath.commonpath(folders) if folders else ""
    tables = []
    for path in files.paths:
        stem, suffix = posixpath.splitext(path.rpartition("/")[2])
        if stem.lower() not in _TABLE_NAMES or suffix.lower() not in SUFFIXES:
            continue
        inside = posixpath.relpath(posixpath.dirname(path) or ".", around or ".")
        split = SPLIT_FOLDERS.get(inside.lower(), "")
        if inside == "." or split:
            frame = read_table(path, files.read(path))
            table = _table(frame, where=path, folder=posixpath.dirname(path), split=split)
            tables += [table] if table is not None else []
    return tables


def manifest_source(files: Files, tables: Sequence[Table], *, target: str | None, task: str) -> Source:
    """Return the images and targets in `tables`, which have the same columns. Raises DataError."""
    import pandas as pd

    frame = pd.concat([table.frame for table in tables], ignore_index=True)
    first = tables[0]
    columns, unused = _target_columns(frame, first, target)
    labels = read_labels({name: frame[name].tolist() for name in columns}, task=task)
    cells = [_cell(files, table, value) for table in tables for value in table.frame[table.image].tolist()]
    _require_any(files, cells, first)
    splits = _splits(frame, [table.split for table in tables for _ in range(len(table.frame))], first)
    groups = _texts(frame, "group")
    kept = [i for i, keep in enumerate(labels.kept.tolist()) if keep]
    names, again, repeats = _names([cells[i] for i in kept], labels)
    source = ManifestSource(files, names, [cells[i] for i in kept], labels)
    source.splits = [splits[i] for i in kept]
    source.groups = [groups[i] for i in kept]
    if unused:
        source.notes += (f"Columns not used: {', '.join(unused)}; --target names others to learn.",)
    if again:
        source.notes += (f"{counted(again, 'file')} named in several rows with different labels.",)
    return _without(source, repeats) if repeats else source


def _table(frame: pd.DataFrame, *, where: str, folder: str = "", split: str = "") -> Table | None:
    """Return the table, or None if it has no column of images."""
    by_name = {str(column).lower(): str(column) for column in reversed(list(frame.columns))}
    image = next((by_name[name] for name in IMAGE_COLUMNS if name in by_name), None)
    label = next((by_name[name] for name in LABEL_COLUMNS if name in by_name), None)
    return None if image is None else Table(where, folder, split, frame, image, label)


def _require_images(table: Table | None, where: str) -> Table:
    if table is None:
        raise DataError(
            f"a manifest must have a column {' or '.join(IMAGE_COLUMNS)}, but {where!r} has none: rename one"
        )
    if not len(table.frame):
        raise DataError(f"a manifest must have rows, but {where!r} has none")
    return table


def _target_columns(frame: pd.DataFrame, table: Table, target: str | None) -> tuple[list[str], list[str]]:
    """Return the columns to learn, and other columns that could be learned."""
    others = [name for name in frame.columns if name != table.image and name.lower() not in _OTHER_COLUMNS]
    others = [name for name in others if not name.startswith("Unnamed:")]
    if target is not None:
        names = [target] if target in frame.columns else [part.strip() for part in target.split(",")]
        for name in names:
            if name not in frame.columns:
                raise DataError(unknown_name("target column", name, others))
        return list(dict.fromkeys(names)), []
    if table.label is not None:
        return [table.label], []
    if len(others) == 1:
        return others, []
    bits = [name for name in others if is_bits(frame[name].tolist())]
    if len(bits) > 1:
        return bits, [name for name in others if name not in bits]
    numbers = [name for name in others if is_numbers(frame[name].tolist())]
    raise DataError(
        f"a manifest must have a column label, target or class, but {table.where!r} has "
        f"{', '.join(frame.columns)}: name the column to learn with --target"
        + (f" (for example {numbers[0]})" if numbers else "")
    )


def _cell(files: Files, table: Table, value: Any) -> str | bytes:
    """Return image bytes, or the path in `files`: beside the table or in a folder images/ there."""
    if isinstance(value, dict):  # Hugging Face's Parquet files
        value = value.get("bytes") or value.get("path") or ""
    if isinstance(value, bytes):
        return value
    text = str(value).strip().replace("\\", "/")
    for folder in (table.folder, posixpath.join(table.folder, "images")):
        path = posixpath.normpath(posixpath.join(folder, text))
        if files.has(path):
            return path
    return posixpath.normpath(posixpath.join(table.folder, text))


def _require_any(files: Files, cells: Sequence[str | bytes], table: Table) -> None:
    paths = [cell for cell in cells if isinstance(cell, str)]
    if len(paths) == len(cells) and not any(files.has(path) for path in paths):
        raise DataError(
            f"the paths in column {table.image!r} of {table.where!r} must be relative to {files.where!r}, but none "
            f"of {len(paths)} files is there, the first is {paths[0]!r}: correct them or move the table"
        )


def _splits(frame: pd.DataFrame, given: list[str], table: Table) -> list[str]:
    """Return the part of each row: by the column split, by is_valid, or by the table's folder."""
    words = _texts(frame, "split")
    if any(words):
        unknown = [word for word in words if word.lower() not in _SPLITS]
        if unknown:
            raise DataError(
                f"the column split must hold train, val or test, but {unknown[0]!r} is in {table.where!r}: rename it"
            )
        return [_SPLITS[word.lower()] for word in words]
    valid = [word.lower() for word in _texts(frame, "is_valid")]
    if any(valid):
        odd = [word for word in valid if word not in (*_TRUE, *_FALSE)]
        if odd:
            raise DataError(
                f"the column is_valid must hold true or false, but {odd[0]!r} is in {table.where!r}"
            )
        return ["val" if word in _TRUE else "train" for word in valid]
    return given


def _texts(frame: pd.DataFrame, column: str) -> list[str]:
    """Return the cells of a column as text, "" where the column or a cell is missing."""
    found = next((name for name in frame.columns if name.lower() == column), None)
    if found is None:
        return [""] * len(frame)
    cells = frame[found]
    return ["" if missing else str(cell).strip() for cell, missing in zip(cells, cells.isna(), strict=True)]


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
    source.notes += (f"{counted(len(rows), 'row')} that repeat another left out.",)
    return source
