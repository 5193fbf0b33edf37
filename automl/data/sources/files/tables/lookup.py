"""Find the files that the cells of a table name, also without their folder or extension."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from automl.data.sources.base import counted
from automl.data.sources.files.base import Files, LooseFiles
from automl.data.sources.files.image_files import IMAGE_SUFFIXES
from automl.data.sources.files.split_names import part_beside, split_of

_DEPTH = 2  # folders below that of a loose table that are searched
_ABSOLUTE = re.compile(r"/|[A-Za-z]:/|[a-z][a-z0-9+]+:/")
_MOST_FILES = 1_000_000


class Lookup:
    """Finds files for a table in `folder` of `files`. `prefer` is the part of a split that the table's name means."""

    def __init__(self, files: Files, folder: str, *, prefer: str = "") -> None:
        self._files = files
        self._folder = folder
        self._prefer = prefer
        self._found: Counter[str] = Counter()

    def find(self, cell: str) -> str | None:
        """Return the path in `files` of the file that a cell names; None if there is none, or are several.

        It lies beside the table, in images/ or in the folder of its part there (train/ for train.txt), or, if the cell
        names no folder, in any folder below. The extension may be missing, and so may zeros before a number. Letter
        case, the form of accents and the first folders of the cell may differ. It may be written as 7.0, or with %20.
        """
        path = self._find(cell)
        for other in _respelled(cell) if path is None else ():
            path = self._find(other)
            if path is not None:
                self._found["without .0 after a number, or by the name behind %20 and the like"] += 1
                break
        return path

    def _find(self, cell: str) -> str | None:
        direct = self._direct(cell)
        if direct is not None:
            return direct
        name = posixpath.normpath(cell)
        exact = self._below.get(name, ())
        found = exact or self._loosely.get(_loose(name), ())
        if len(found) > 1:
            beside = [
                path for path in found if posixpath.splitext(path)[0] == posixpath.join(self._folder, name)
            ]
            preferred = [path for path in found if self._prefer in map(split_of, path.split("/")[:-1])]
            found = beside if len(beside) == 1 else preferred
        if len(found) != 1:
            return self._without_first_folders(name)
        path = found[0]
        folder = posixpath.dirname(posixpath.relpath(path, self._folder or "."))
        if "/" not in cell and folder:
            self._found[f"in {folder}/"] += 1
        if not exact:
            self._found["by other letter case or form of accents, or with zeros before the number"] += 1
        elif not cell.endswith(posixpath.splitext(path)[1]):
            self._found[f"with the extension {posixpath.splitext(path)[1]}"] += 1
        return path

    def _without_first_folders(self, name: str) -> str | None:
        """Return the file that is there without the first folders of a cell, such as those of another machine.

        One folder must be left, unless the cell is an absolute path or an address: a/1.jpg is not b/1.jpg.
        """
        parts = name.split("/")
        for k in range(1, len(parts) - (not _ABSOLUTE.match(name))):
            path = self._direct("/".join(parts[k:]))
            if path is not None:
                self._found["without the first folders in their cells"] += 1
                return path
        return None

    def places(self, cell: str) -> Sequence[str]:
        """Return the files that a cell could mean."""
        return sorted(self._below.get(posixpath.normpath(cell), ()))

    def notes(self) -> tuple[str, ...]:
        """Return how files were found that do not lie where the cells say."""
        return tuple(f"{counted(n, 'file')} of the table found {how}." for how, n in self._found.items())

    def _direct(self, cell: str) -> str | None:
        for folder in (self._folder, posixpath.join(self._folder, "images")):
            path = posixpath.normpath(posixpath.join(folder, cell))
            if self._files.has(path):
                return path
        for part in self._part_folders:
            path = posixpath.normpath(posixpath.join(self._folder, part, cell))
            if self._files.has(path):
                self._found[f"in {part}/"] += 1
                return path
        return None

    @cached_property
    def _part_folders(self) -> Sequence[str]:
        """The folders beside the table that mean the same part as its name: train/ beside train.txt."""
        if not self._prefer:
            return ()
        start = f"{self._folder}/" if self._folder else ""
        inner = (path.removeprefix(start) for path in self.paths() if path.startswith(start))
        tops = {path.partition("/")[0] for path in inner if "/" in path}
        return sorted(top for top in tops if split_of(top) == self._prefer)

    @cached_property
    def _below(self) -> dict[str, list[str]]:
        """The images below the folder by path without extension, name, and name without extension."""
        found: dict[str, list[str]] = defaultdict(list)
        start = f"{self._folder}/" if self._folder else ""
        for path in self.paths():
            if not path.startswith(start) or posixpath.splitext(path)[1].lower() not in IMAGE_SUFFIXES:
                continue
            inner = path.removeprefix(start)
            name = posixpath.basename(inner)
            for key in {inner, posixpath.splitext(inner)[0], name, posixpath.splitext(name)[0]}:
                found[key].append(path)
        return dict(found)

    @cached_property
    def _loosely(self) -> dict[str, list[str]]:
        """The same without letter case, and without zeros before a number."""
        found: dict[str, list[str]] = defaultdict(list)
        for name, paths in self._below.items():
            found[_loose(name)] += [path for path in paths if path not in found[_loose(name)]]
        return dict(found)

    def paths(self) -> Iterator[str]:
        """Return the paths of all files; of a folder that is not listed, of those in it and two folders deep."""
        if self._files.paths or not isinstance(self._files, LooseFiles):
            yield from self._files.paths
            return
        pending, n = [("", 0)], 0
        while pending:
            folder, depth = pending.pop()
            for path in _listing(self._files.root / folder):
                name = f"{folder}/{path.name}" if folder else path.name
                if path.is_dir() and depth < _DEPTH:
                    pending.append((name, depth + 1))
                elif n < _MOST_FILES:
                    n += 1
                    yield name


def part_in_name(path: str) -> str:
    """Return the part of a split that the name of a table means, also beside other words: instances_train2017.json."""
    stem = posixpath.splitext(posixpath.basename(path))[0]
    return split_of(stem) or part_beside(stem)


def _loose(name: str) -> str:
    folded = unicodedata.normalize("NFC", name).casefold()
    return (folded.lstrip("0") or "0") if folded.isdecimal() else folded


def _respelled(cell: str) -> list[str]:
    """Return other spellings of a cell: a number of pandas without .0, the name in an address."""
    found = [cell[:-2]] if re.fullmatch(r"\d+\.0", cell) else []
    return [*found, plain] if "%" in cell and (plain := unquote(cell)) != cell else found


def _listing(folder: Path) -> list[Path]:
    """Return what is in a folder except hidden entries; nothing if it cannot be read: then its files are missing."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []
