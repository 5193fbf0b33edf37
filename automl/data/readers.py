"""Where the bytes of pictures lie, in words that another process understands: files of a folder, parts of an archive.

This module and what decodes (`convert`) load in a tenth of a second: every worker process does.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from automl.errors import DataError

# A member that unpacks to more is no picture that could be decoded, and unpacking it would fill the memory.
MAX_MEMBER_BYTES = 512 * 2**20
_LOCAL_HEADER = 30
# Bytes that the name and the extra fields of a member usually take, read along with it.
_USUAL_NAME = 200
_STORED, _DEFLATED = 0, 8

# The path in a folder; (offset, bytes) in a tar; or in a zip what `ZipReader.read` takes.
Spot = str | Sequence[int]


@dataclass(frozen=True)
class Place:
    """A folder or an archive, by its absolute path; `spots` tells where some rows lie in it."""

    kind: Literal["folder", "zip", "tar"]
    path: str
    spots: Callable[[range], list[Spot]]


class FolderReader:
    """Reads files of a folder."""

    def __init__(self, path: Path) -> None:
        self._root = str(path)

    def read(self, spot: Spot) -> bytes:
        """The bytes of the file at this path, relative or absolute. Raises DataError if it cannot be read."""
        name = str(spot)
        try:
            path = name if name.startswith(os.sep) else f"{self._root}{os.sep}{name}"
            file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            try:
                return _read_all(file)
            finally:
                os.close(file)
        except (OSError, ValueError) as error:
            raise DataError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error

    def close(self) -> None:
        """Nothing is open."""


class TarReader:
    """Reads members of a plain tar."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def read(self, spot: Spot) -> bytes:
        """The bytes at (offset, size). Raises DataError if they are cut or far too many."""
        return read_span(self._file, int(spot[0]), int(spot[1]))

    def close(self) -> None:
        """Close the tar."""
        os.close(self._file)


class ZipReader:
    """Reads members of a zip; threads may read at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self._whole: zipfile.ZipFile | None = None
        self._infos: dict[int, zipfile.ZipInfo] = {}

    def read(self, spot: Spot) -> bytes:
        """The unpacked bytes of the member (offset, packed bytes, bytes, CRC-32, method, flags).

        Raises DataError if it is damaged, encrypted or far too large.
        """
        size, flags = int(spot[2]), int(spot[5])
        if size > MAX_MEMBER_BYTES:
            raise DataError(f"unpacks to {size / 2**20:.0f} MB")
        if flags & 0x1:
            raise DataError("encrypted")
        try:
            # zipfile takes turns at the file and five times as long; it is asked where anything is unusual.
            found = _fast_read(self._file, spot)
            return self._slow_read(int(spot[0])) if found is None else found
        except (
            zipfile.BadZipFile,
            zlib.error,
            OSError,
            EOFError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise DataError(f"damaged in the zip ({error})") from error

    def close(self) -> None:
        """Close the zip."""
        os.close(self._file)
        if self._whole is not None:
            self._whole.close()

    def _slow_read(self, offset: int) -> bytes:
        if self._whole is None:
            whole = zipfile.ZipFile(self._path)
            self._infos = {info.header_offset: info for info in whole.infolist()}
            self._whole = whole
        if offset not in self._infos:
            raise zipfile.BadZipFile("the zip has changed")
        return self._whole.read(self._infos[offset])


Reader = FolderReader | TarReader | ZipReader
READERS: dict[str, type[Any]] = {"folder": FolderReader, "zip": ZipReader, "tar": TarReader}


def open_reader(kind: str, path: str) -> Reader:
    """What reads the spots of a place. Raises DataError if it is not there any more."""
    try:
        reader: Reader = READERS[kind](Path(path))
    except OSError as error:
        raise DataError(
            f"the data must stay where they are, but {path!r} cannot be opened any more ({error.strerror})"
        ) from error
    return reader


def read_span(file: int, offset: int, size: int) -> bytes:
    """The bytes of a member of a tar. Raises DataError if they are cut or far too many."""
    if size > MAX_MEMBER_BYTES:
        raise DataError(f"unpacks to {size / 2**20:.0f} MB")
    data = _pread(file, size, offset)
    if len(data) < size:
        raise DataError("damaged in the tar (cut off)")
    return data


def _fast_read(file: int, spot: Spot) -> bytes | None:
    """The content of a plain stored or deflated member whose checksum is right; None for all others."""
    offset, packed, size, checksum, method, _ = (int(value) for value in spot)
    if method not in (_STORED, _DEFLATED):
        return None
    # The local header repeats the name and has extra fields of its own, so their lengths come from there.
    start = _pread(file, _LOCAL_HEADER + _USUAL_NAME + packed, offset)
    if len(start) < _LOCAL_HEADER or start[:4] != b"PK\3\4":
        return None
    name, extra = struct.unpack_from("<HH", start, 26)
    begin = _LOCAL_HEADER + name + extra
    data = start[begin : begin + packed]
    if len(data) < packed:
        data = _pread(file, packed, offset + begin)
    if method == _DEFLATED:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size or 1)
    return data if len(data) == size and zlib.crc32(data) == checksum else None


def _pread(file: int, size: int, offset: int) -> bytes:
    return os.pread(file, size, offset)


def _read_all(file: int) -> bytes:
    """All bytes of an open file, and no call more than needed for one that does not grow."""
    size = os.fstat(file).st_size
    data = os.read(file, size + 1)
    if len(data) == size:
        return data
    parts = [data]
    while part := os.read(file, 2**20):
        parts.append(part)
    return b"".join(parts)
