"""Files by their relative paths, in a folder. Archives are in `zip_archive` and `tar_archive`."""

from __future__ import annotations

import errno
import itertools
import os
import posixpath
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from automl.data.readers import MAX_MEMBER_BYTES, FolderReader, ReaderSpec
from automl.data.sources.files.image_files import ImageFiles, image_files
from automl.errors import DataError

_Entry = tuple[str, int, int]


class Paths(tuple[str, ...]):
    """The paths of files, and what is found by looking at all of them: once, as there may be very many."""

    @cached_property
    def images(self) -> ImageFiles:
        """The images among them."""
        return image_files(self)

    @cached_property
    def around(self) -> str:
        """The folder around all files, "" for the top."""
        folders = {path.rpartition("/")[0] for path in self}  # posixpath takes four times as long
        return posixpath.commonpath(folders) if folders else ""

    def ending(self, suffixes: tuple[str, ...]) -> Sequence[str]:
        """Return those with one of these endings, which are in small letters."""
        found = self._by_ending.get(suffixes)
        if found is None:
            found = [path for path in self if path.lower().endswith(suffixes)]
            self._by_ending[suffixes] = found
        return found

    @cached_property
    def _by_ending(self) -> dict[tuple[str, ...], Sequence[str]]:
        return {}


class Files(Protocol):
    """Files that can be listed and read. `paths` are relative, sorted, with "/" between their parts.

    `notes` are sentences about files that are left out.
    """

    name: str
    where: str
    paths: Paths
    notes: tuple[str, ...]

    def read(self, path: str, *, most: int = MAX_MEMBER_BYTES) -> bytes:
        """Return the content of a file.

        Raises DataError with a short reason, also for more than `most` bytes; in an archive, the usual limit holds.
        """

    def states(self, paths: Sequence[str]) -> list[str]:
        """Return a text for each file that changes when the file does; "" for one that is not there."""

    def has(self, path: str) -> bool:
        """Return whether there is such a file."""

    def reader_spec(self, paths: Sequence[str]) -> ReaderSpec | None:
        """Return how another process can read these files; None where it cannot."""

    def root_state(self) -> str:
        """Return what the state of the data depends on besides the files: for a folder, its path."""

    def close(self) -> None:
        """Release open files."""


class LooseFiles:
    """Files that a table names, absolute or relative to a folder, which is not listed."""

    def __init__(self, root: Path, *, name: str) -> None:
        self.root = root
        self.name = name
        self.where = str(root)
        self.paths = Paths()
        self.notes: tuple[str, ...] = ()
        self._reader = FolderReader(root)

    def read(self, path: str, *, most: int = MAX_MEMBER_BYTES) -> bytes:
        return self._reader.read(path, most=most)

    def states(self, paths: Sequence[str]) -> list[str]:
        """Return size and modification time of each file."""
        return [self._state(path) for path in paths]

    def _state(self, path: str) -> str:
        try:
            found = (self.root / path).stat()
        except (OSError, ValueError):
            return ""
        return f"{found.st_size}\0{found.st_mtime_ns}"

    def has(self, path: str) -> bool:
        try:
            return (self.root / path).is_file()
        except (OSError, ValueError):
            return False

    def reader_spec(self, paths: Sequence[str]) -> ReaderSpec | None:
        return ReaderSpec("folder", str(self.root.resolve()), lambda rows: [paths[row] for row in rows])

    def root_state(self) -> str:
        return str(self.root.resolve())

    def close(self) -> None:
        """Do nothing: no file stays open."""


class FolderFiles(LooseFiles):
    """All files in a folder and below it, except hidden ones, as they were when it was listed."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, name=root.resolve().name)
        entries = sorted(_walk(root))
        self.paths = Paths(path for path, _, _ in entries)
        self._rows = {path: row for row, path in enumerate(self.paths)}
        # Size and modification time, in less memory than pairs of numbers.
        stats = itertools.chain.from_iterable((size, time) for _, size, time in entries)
        self._stats = np.fromiter(stats, dtype=np.int64, count=2 * len(entries)).reshape(-1, 2)

    def states(self, paths: Sequence[str]) -> list[str]:
        """Return size and modification time of each file."""
        rows = [self._rows.get(path, -1) for path in paths]
        stats = self._stats[rows].tolist() if len(self._stats) else [(0, 0)] * len(rows)
        return ["" if row < 0 else f"{size}\0{time}" for row, (size, time) in zip(rows, stats, strict=True)]

    def has(self, path: str) -> bool:
        """Return whether the file was there when the folder was listed."""
        return path in self._rows


def _walk(root: Path) -> Iterator[_Entry]:
    """Yield (relative path, size, modification time in ns) of every file; follows links, but not in circles."""
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
                    if entry.name.startswith(".") or _leads_nowhere(entry):
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


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    """Return whether it is a link to nothing, or to itself."""
    if not entry.is_symlink():
        return False
    try:
        entry.stat()
    except OSError as error:
        return error.errno in (errno.ELOOP, errno.ENOENT, errno.ENOTDIR)
    return False
