"""The files of a zip, read in place."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from automl.data.readers import Place, ZipReader
from automl.data.sources.base import Source
from automl.data.sources.files.folder import open_files
from automl.data.sources.files.zip_index import CHECKSUM, SIZE, read_directory
from automl.errors import DataError


class ZipFiles:
    """The members of a zip. Raises DataError if it is no zip, is damaged or has unsafe names."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.where = str(path)
        try:
            directory = read_directory(path)
            self._reader = ZipReader(path)
        except (zipfile.BadZipFile, OSError, NotImplementedError, UnicodeDecodeError) as error:
            raise DataError(
                f"the data must be a readable zip, but {str(path)!r} is not ({error}): copy or pack it again"
            ) from error
        try:
            self._rows = _members(directory.names, path)
        except DataError:
            self._reader.close()
            raise
        self._spots = directory.spots
        self.paths: Sequence[str] = list(self._rows)

    def read(self, path: str) -> bytes:
        """The unpacked bytes of a member. Raises DataError if it is damaged, encrypted or far too large."""
        if path not in self._rows:
            raise DataError("not in the zip")
        return self._reader.read(self._spots[self._rows[path]].tolist())

    def state(self, path: str) -> str:
        """Size and checksum, from the zip's directory."""
        row = self._rows.get(path)
        return "" if row is None else f"{self._spots[row, SIZE]}\0{self._spots[row, CHECKSUM]}"

    def states(self, paths: Sequence[str]) -> list[str]:
        """`state` of each path."""
        rows = [self._rows.get(path, -1) for path in paths]
        columns = self._spots[rows][:, [SIZE, CHECKSUM]].tolist() if len(self._spots) else []
        return [
            "" if row < 0 else f"{size}\0{check}" for row, (size, check) in zip(rows, columns, strict=True)
        ]

    def has(self, path: str) -> bool:
        """Whether there is such a member."""
        return path in self._rows

    def place(self) -> str:
        """Nothing: the checksums say all, wherever the zip lies."""
        return ""

    def place_of(self, paths: Sequence[str]) -> Place | None:
        """The zip, and where each member lies in it; None unless all are there."""
        chosen = [self._rows.get(path, -1) for path in paths]
        if min(chosen, default=-1) < 0:
            return None
        spots = self._spots[chosen]
        return Place(
            "zip", str(Path(self.where).resolve()), lambda rows: spots[rows.start : rows.stop].tolist()
        )

    def close(self) -> None:
        """Close the zip."""
        self._reader.close()


def open_zip(data: Any, *, target: str | None, task: str) -> Source:
    """Open a zip of class folders, or of a manifest and its pictures. Raises DataError."""
    return open_files(ZipFiles(Path(data)), target=target, task=task)


def safe_member(name: str, path: Path, kind: str) -> str:
    """The name of a member with "/" between its parts. Raises DataError for one that leaves the archive."""
    plain = name.replace("\\", "/")
    if plain.startswith("/") or (".." in plain and ".." in plain.split("/")) or plain[1:2] == ":":
        raise DataError(
            f"the names in a {kind} must stay inside of it, but {str(path)!r} holds {name!r}: pack it again"
        )
    return plain


def _members(names: Sequence[str], path: Path) -> dict[str, int]:
    """The row of each file by its name, sorted; of equal names the last counts, as when unpacking."""
    if any("\\" in name or ".." in name or name[:1] == "/" or name[1:2] == ":" for name in names):
        names = [safe_member(name, path, "zip") for name in names]
    rows = {name: row for row, name in enumerate(names) if name[-1:] != "/"}
    return {name: rows[name] for name in sorted(rows)}
