"""The files of a zip, read in place."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.readers import MAX_MEMBER_BYTES, ReaderSpec, ZipReader
from automl.data.sources.base import Source, counted
from automl.data.sources.files.base import Paths
from automl.data.sources.files.folder import open_files
from automl.errors import DataError, reason_of
from automl.records import ReadOptions

# Columns of the locations that decide what a member holds and how it is read: packed bytes, bytes, CRC-32, method.
_STATE = (1, 2, 3, 4)
_FLAGS, _ENCRYPTED = 5, 0x1
_LARGEST = int(np.iinfo(np.int64).max)


class ZipFiles:
    """The members of a zip. Raises DataError if it is no zip, is damaged or has unsafe names."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.where = str(path)
        try:
            names, self._locations = _read_directory(path)
            self._reader = ZipReader(path)
        except DataError:
            raise
        except Exception as error:  # zipfile raises nearly anything on bad bytes
            raise DataError(
                f"the data must be a readable zip, but {str(path)!r} is not ({reason_of(error)}): copy or pack it again"
            ) from error
        try:
            self._rows, self.notes = _members(names, path)
        except DataError:
            self._reader.close()
            raise
        self.paths = Paths(self._rows)

    def read(self, path: str, *, most: int = MAX_MEMBER_BYTES) -> bytes:
        """Return the unpacked bytes of a member. Raises DataError if it is damaged, encrypted or too large."""
        if path not in self._rows:
            raise DataError("not in the zip")
        return self._reader.read(self._locations[self._rows[path]].tolist())

    def states(self, paths: Sequence[str]) -> list[str]:
        """Return sizes, checksum and method of each member, and whether it is encrypted."""
        rows = [self._rows.get(path, -1) for path in paths]
        if not len(self._locations):
            return [""] * len(rows)
        found = self._locations[rows]
        columns = np.column_stack([found[:, _STATE], found[:, _FLAGS] & _ENCRYPTED]).tolist()
        return [
            "" if row < 0 else "\0".join(map(str, state)) for row, state in zip(rows, columns, strict=True)
        ]

    def has(self, path: str) -> bool:
        return path in self._rows

    def root_state(self) -> str:
        """Return size and modification time of the zip, wherever it lies: a copy may be damaged."""
        found = Path(self.where).stat()
        return f"{found.st_size}\0{found.st_mtime_ns}"

    def reader_spec(self, paths: Sequence[str]) -> ReaderSpec | None:
        """Return the zip and the location of each member; None unless all are there."""
        chosen = [self._rows.get(path, -1) for path in paths]
        if min(chosen, default=-1) < 0:
            return None
        locations = self._locations[chosen]
        return ReaderSpec(
            "zip", str(Path(self.where).resolve()), lambda rows: locations[np.asarray(rows)].tolist()
        )

    def close(self) -> None:
        self._reader.close()


def open_zip(data: Any, options: ReadOptions) -> Source:
    """Open a zip of class folders, or of a manifest and its images. Raises DataError."""
    return open_files(ZipFiles(Path(data)), options)


def safe_member(name: str, path: Path, kind: str) -> str:
    """Return the name of a member with "/" between its parts. Raises DataError for one that leaves the archive."""
    plain = name.replace("\\", "/")
    if plain.startswith("/") or (".." in plain and ".." in plain.split("/")) or plain[1:2] == ":":
        raise DataError(
            f"the names in a {kind} must stay inside of it, but {str(path)!r} holds {name!r}: pack it again"
        )
    return plain


def repeated_note(again: Sequence[str], kind: str) -> tuple[str, ...]:
    """Return the sentence on members whose names occur again later in an archive; nothing for none."""
    if not again:
        return ()
    shown = ascii(again[0])
    return (
        f"{counted(len(again), 'member')} of the {kind} left out, as a later one has the same name ({shown}); the last "
        "one counts, as when it is unpacked.",
    )


def _read_directory(path: Path) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the names in a zip and their locations (n, 6), as `ZipReader` takes them."""
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
    locations = np.empty((len(infos), 6), dtype=np.int64)
    for row, info in enumerate(infos):
        locations[row] = (
            *(_known(info.header_offset), _known(info.compress_size), _known(info.file_size)),
            *(info.CRC, info.compress_type, info.flag_bits),
        )
    _refuse_overlap(locations, path)
    # Names that are copied as a whole share no memory with zipfile's objects, a kilobyte for each member: it is freed.
    names = "\0".join(info.filename for info in infos)
    return names.split("\0") if infos else [], locations


def _known(number: int) -> int:
    """Return a size or an offset of a zip, or the largest that NumPy knows, which no file has."""
    return min(number, _LARGEST)


def _refuse_overlap(locations: npt.NDArray[np.int64], path: Path) -> None:
    """Raise DataError if members share bytes: thousands of them may then unpack the same gigabyte."""
    begin, packed = locations[:, 0], locations[:, 1]
    order = np.argsort(begin, kind="stable")
    gap = np.diff(begin[order])
    if bool((gap < packed[order][:-1]).any()):
        raise DataError(
            f"the members of a zip must lie one after the other, but those of {str(path)!r} share bytes, so it is "
            "damaged or was made to fill a disk: pack it again"
        )


def _members(names: Sequence[str], path: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the row of each file by its name, sorted; of equal names the last one counts, as when unpacking.

    The second value is a note on equal names.
    """
    if any("\\" in name or ".." in name or name[:1] == "/" or name[1:2] == ":" for name in names):
        names = [safe_member(name, path, "zip") for name in names]
    rows = {name: row for row, name in enumerate(names) if name[-1:] != "/"}
    again = [name for row, name in enumerate(names) if name[-1:] != "/" and rows[name] != row]
    return {name: rows[name] for name in sorted(rows)}, repeated_note(again, "zip")
