"""Files by their relative paths: in a folder here, in archives beside. What the paths mean is said elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

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

    def has(self, path: str) -> bool:
        """Whether there is such a file."""

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
        self._entries = {path: (size, changed) for path, size, changed in entries}
        self.paths: Sequence[str] = list(self._entries)

    def read(self, path: str) -> bytes:
        """The bytes of a file. Raises DataError if it cannot be read."""
        return _read(self.root / path)

    def state(self, path: str) -> str:
        """Size and time of change."""
        return "{}\0{}".format(*self._entries[path]) if path in self._entries else ""

    def has(self, path: str) -> bool:
        """Whether it was there when the folder was listed."""
        return path in self._entries

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

    def read(self, path: str) -> bytes:
        """The bytes of a file. Raises DataError if it cannot be read."""
        return _read(self.root / path)

    def state(self, path: str) -> str:
        """Size and time of change; "" where there is no such file."""
        try:
            found = (self.root / path).stat()
        except (OSError, ValueError):
            return ""
        return f"{found.st_size}\0{found.st_mtime_ns}"

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


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error


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
