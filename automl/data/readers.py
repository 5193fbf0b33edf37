"""Read the bytes of images from a folder, a zip or a tar, in any process.

A `ReaderSpec` names a folder or archive and the location of each row in it, so that another process can open a reader.
Worker processes import this module: it must load in a tenth of a second.
"""

from __future__ import annotations

import bz2
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from automl.documents.bounded_file import read_bounded, size_in_words
from automl.errors import DataError, reason_of

# Larger members are refused: no decodable image is as large, and unpacking one would fill the memory.
MAX_MEMBER_BYTES = 512 * 2**20
_LOCAL_HEADER = 30
# Bytes that the name and extra fields of a zip member usually take; read together with its data.
_USUAL_NAME = 200
_STORED, _DEFLATED, _BZIP2 = 0, 8, 12
_SMALL = 4096

# A path in a folder; (offset, bytes) in a tar; the six numbers that `ZipReader.read` takes in a zip.
Location = str | Sequence[int]


@dataclass(frozen=True)
class ReaderSpec:
    """A folder or an archive, by its absolute path; `locations(rows)` are those of some rows."""

    kind: Literal["folder", "zip", "tar"]
    path: str
    locations: Callable[[Sequence[int]], list[Location]]


class FolderReader:
    """Reads files of a folder."""

    def __init__(self, path: Path) -> None:
        self._root = str(path)

    def read(self, location: Location, *, most: int = MAX_MEMBER_BYTES) -> bytes:
        """Return the bytes of the file at this path, relative or absolute.

        Raises DataError if it cannot be read, is no file or has more than `most` bytes.
        """
        name = str(location)
        try:
            return read_bounded(name if name.startswith(os.sep) else f"{self._root}{os.sep}{name}", most)
        except (OSError, ValueError) as error:
            raise DataError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error

    def close(self) -> None:
        """Do nothing: no file stays open."""


class TarReader:
    """Reads members of a plain tar."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def read(self, location: Location) -> bytes:
        """Return the bytes at (offset, size). Raises DataError if they are truncated or too many."""
        return read_span(self._file, int(location[0]), int(location[1]))

    def close(self) -> None:
        os.close(self._file)


class ZipReader:
    """Reads members of a zip; thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self._bytes = os.fstat(self._file).st_size
        self._archive: zipfile.ZipFile | None = None
        self._infos: dict[int, zipfile.ZipInfo] = {}

    def read(self, location: Location) -> bytes:
        """Return the unpacked bytes of the member (offset, packed bytes, bytes, CRC-32, method, flags).

        Raises DataError if it is damaged, encrypted or too large.
        """
        packed, size, flags = int(location[1]), int(location[2]), int(location[5])
        if size > MAX_MEMBER_BYTES:
            raise DataError(f"unpacks to {size_in_words(size)}")
        if not 0 <= packed <= self._bytes:
            raise DataError("damaged in the zip (cut off)")
        if flags & 0x1:
            raise DataError("encrypted")
        try:
            # zipfile locks the file and takes five times as long, so it reads only unusual members.
            data = _fast_read(self._file, location)
            return self._slow_read(int(location[0]), size) if data is None else data
        except Exception as error:  # zipfile and its decompressors raise nearly anything on bad bytes
            raise DataError(f"damaged in the zip ({reason_of(error)})") from error

    def close(self) -> None:
        os.close(self._file)
        if self._archive is not None:
            self._archive.close()

    def _slow_read(self, offset: int, size: int) -> bytes:
        if self._archive is None:
            archive = zipfile.ZipFile(self._path)
            self._infos = {info.header_offset: info for info in archive.infolist()}
            self._archive = archive
        if offset not in self._infos:
            raise zipfile.BadZipFile("the zip has changed")
        parts, left = [], size
        with self._archive.open(self._infos[offset]) as member:
            # In small pieces: LZMA unpacks all that it is given at once.
            while left > 0 and (part := member.read(min(left, _SMALL))):
                parts.append(part)
                left -= len(part)
            if left or member.read(1):
                raise zipfile.BadZipFile("its size is not the one that the zip says")
        return b"".join(parts)


Reader = FolderReader | TarReader | ZipReader
READERS: dict[str, type[Any]] = {"folder": FolderReader, "zip": ZipReader, "tar": TarReader}


def open_reader(kind: str, path: str) -> Reader:
    """Open the reader of a `ReaderSpec`. Raises DataError if the folder or archive is gone."""
    try:
        reader: Reader = READERS[kind](Path(path))
    except OSError as error:
        raise DataError(
            f"the data must stay where they are, but {path!r} cannot be opened any more ({error.strerror})"
        ) from error
    return reader


def read_span(file: int, offset: int, size: int) -> bytes:
    """Return the bytes of a tar member. Raises DataError if they are truncated or too many."""
    if size > MAX_MEMBER_BYTES:
        raise DataError(f"unpacks to {size_in_words(size)}")
    data = os.pread(file, size, offset)
    if len(data) < size:
        raise DataError("damaged in the tar (cut off)")
    return data


def _fast_read(file: int, location: Location) -> bytes | None:
    """Return the content of a stored, deflated or bzip2 member with the right checksum; None for all others."""
    offset, packed, size, checksum, method, _ = (int(value) for value in location)
    if method not in (_STORED, _DEFLATED, _BZIP2):
        return None
    # The local header repeats the name and has extra fields of its own, so it alone gives their lengths.
    start = os.pread(file, _LOCAL_HEADER + _USUAL_NAME + packed, offset)
    if len(start) < _LOCAL_HEADER or start[:4] != b"PK\3\4":
        return None
    name, extra = struct.unpack_from("<HH", start, 26)
    begin = _LOCAL_HEADER + name + extra
    data = start[begin : begin + packed]
    if len(data) < packed:
        data = os.pread(file, packed, offset + begin)
    if method == _DEFLATED:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size or 1)
    elif method == _BZIP2:
        data = bz2.BZ2Decompressor().decompress(data, size or 1)
    if len(data) == size and zlib.crc32(data) == checksum:
        return data
    if method == _BZIP2:  # zipfile would unpack all of it: up to a megabyte from each byte
        raise zipfile.BadZipFile("its size or checksum is not the one that the zip says")
    return None
