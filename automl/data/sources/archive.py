"""The files of a zip, read in place."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from automl.data.sources.base import Source
from automl.data.sources.folder import open_files
from automl.errors import DataError

# A member that unpacks to more is no picture that could be decoded, and unpacking it would fill the memory.
MAX_MEMBER_BYTES = 512 * 2**20
_LOCAL_HEADER = 30


class ZipFiles:
    """The members of a zip. Raises DataError if it is no zip, is damaged or has unsafe names."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.where = str(path)
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
            raise DataError(
                f"the data must be a readable zip, but {str(path)!r} is not ({error}): copy or pack it again"
            ) from error
        try:
            self._members = _members(self._zip, path)
        except DataError:
            self._zip.close()
            raise
        self.paths: Sequence[str] = list(self._members)

    def read(self, path: str) -> bytes:
        """The unpacked bytes of a member. Raises DataError if it is damaged, encrypted or far too large."""
        info = self._members.get(path)
        if info is None:
            raise DataError("not in the zip")
        if info.file_size > MAX_MEMBER_BYTES:
            raise DataError(f"unpacks to {info.file_size / 2**20:.0f} MB")
        if info.flag_bits & 0x1:
            raise DataError("encrypted")
        try:
            # zipfile takes turns at the file and five times as long; it is asked where anything is unusual.
            found = _fast_read(self._zip, info)
            return self._zip.read(info) if found is None else found
        except (
            zipfile.BadZipFile,
            zlib.error,
            OSError,
            EOFError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise DataError(f"damaged in the zip ({error})") from error

    def state(self, path: str) -> str:
        """Size and checksum, from the zip's directory."""
        info = self._members.get(path)
        return "" if info is None else f"{info.file_size}\0{info.CRC}"

    def has(self, path: str) -> bool:
        """Whether there is such a member."""
        return path in self._members

    def place(self) -> str:
        """Nothing: the checksums say all, wherever the zip lies."""
        return ""

    def close(self) -> None:
        """Close the zip."""
        self._zip.close()


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


def _fast_read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes | None:
    """The content of a plain stored or deflated member whose checksum is right; None for all others."""
    if archive.fp is None or not hasattr(os, "pread"):
        return None
    # The local header repeats the name and has extra fields of its own, so their lengths come from there.
    start = os.pread(archive.fp.fileno(), _LOCAL_HEADER, info.header_offset)
    if len(start) < _LOCAL_HEADER or start[:4] != b"PK\3\4":
        return None
    name, extra = struct.unpack("<HH", start[26:30])
    data = os.pread(
        archive.fp.fileno(), info.compress_size, info.header_offset + _LOCAL_HEADER + name + extra
    )
    if info.compress_type == zipfile.ZIP_DEFLATED:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, info.file_size or 1)
    elif info.compress_type != zipfile.ZIP_STORED:
        return None
    return data if len(data) == info.file_size and zlib.crc32(data) == info.CRC else None


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The files of the archive by name, sorted; of equal names the last counts, as when unpacking."""
    members = {
        safe_member(info.filename, path, "zip"): info for info in archive.infolist() if not info.is_dir()
    }
    return dict(sorted(members.items()))
