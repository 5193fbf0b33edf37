"""Files by their relative paths: in a folder here, in archives beside. What the paths mean is said elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from automl.data.readers import FolderReader, Place
from automl.errors import DataError

_Entry = tuple[str, int, int]


class Files(Protocol):
    """Files that can be listed and read. `paths` are relative, sorted, with "/" between their parts."""

    name: str
    where: str
    paths: Sequence[str]

    def read(self, path: str) -> bytes:
        """The content of a file. Raises DataError with a short reason."""

    def state(self, path: str) -> str:
        """What changes when the file does; "" for one that is not there."""

    def states(self, paths: Sequence[str]) -> list[str]:
        """`state` of each path."""

    def has(self, path: str) -> bool:
        """Whether there is such a file."""

    def place_of(self, paths: Sequence[str]) -> Place | None:
        """Where another process finds these files; None where it cannot."""

    def place(self) -> str:
        """What the state of the whole depends on besides that of its files: where a folder lies."""

    def close(self) -> None:
        """Release what is open."""


class FolderFiles:
    """All files of a folder and of those in it; hidden ones are left out."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = root.resolve().name
        self.where = str(root)
        entries = sorted(_walk(root))
        self.paths: Sequence[str] = [path for path, _, _ in entries]
        self._rows = {path: row for row, path in enumerate(self.paths)}
        # Size and time of change, in less memory than pairs of numbers.
        self._stats = np.array([stat for _, *stat in entries], dtype=np.int64).reshape(-1, 2)
        self._reader = FolderReader(root)

    def read(self, path: str) -> bytes:
        """The bytes of a file. Raises DataError if it cannot be read."""
        return self._reader.read(path)

    def state(self, path: str) -> str:
        """Size and time of change."""
        return self.states([path])[0]

    def states(self, paths: Sequence[str]) -> list[str]:
        """`state` of each path."""
        rows = [self._rows.get(path, -1) for path in paths]
        stats = self._stats[rows].tolist() if len(self._stats) else [(0, 0)] * len(rows)
        return ["" if row < 0 else f"{size}\0{time}" for row, (size, time) in zip(rows, stats, strict=True)]

    def place_of(self, paths: Sequence[str]) -> Place | None:
        """The folder, and the paths."""
        return Place("folder", str(self.root.resolve()), lambda rows: list(paths[rows.start : rows.stop]))

    def has(self, path: str) -> bool:
        """Whether it was there when the folder was listed."""
        return path in self._rows

    def place(self) -> str:
        """The absolute path of the folder."""
        return str(self.root.resolve())

    def close(self) -> None:
        """Nothing is open."""


class LooseFiles:
    """Files that a table names, relative to a folder or absolute; the folder itself is not listed."""

    def __init__(self, root: Path, *, name: str) -> None:
        self.root = root
        self.name = name
        self.where = str(root)
        self.paths: Sequence[str] = []
        self._reader = FolderReader(root)

    def read(self, path: str) -> bytes:
        """The bytes of a file. Raises DataError if it cannot be read."""
        return self._reader.read(path)

    def state(self, path: str) -> str:
        """Size and time of change; "" where there is no such file."""
        try:
            found = (self.root / path).stat()
        except (OSError, ValueError):
            return ""
        return f"{found.st_size}\0{found.st_mtime_ns}"

    def states(self, paths: Sequence[str]) -> list[str]:
        """`state` of each path."""
        return [self.state(path) for path in paths]

    def place_of(self, paths: Sequence[str]) -> Place | None:
        """The folder, and the paths."""
        return Place("folder", str(self.root.resolve()), lambda rows: list(paths[rows.start : rows.stop]))

    def has(self, path: str) -> bool:
        """Whether there is such a file now."""
        try:
            return (self.root / path).is_file()
        except (OSError, ValueError):
            return False

    def place(self) -> str:
        """The absolute path of the folder."""
        return str(self.root.resolve())

    def close(self) -> None:
        """Nothing is open."""


def _walk(root: Path) -> Iterator[_Entry]:
    """(relative path, size, time of change in ns) of every file; links are followed, loops are not."""
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
                    if entry.name.startswith("."):
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
