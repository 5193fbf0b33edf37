"""The directory at the end of a zip, as arrays: zipfile makes an object of a kilobyte for each member, in four times
the time.
"""

from __future__ import annotations

import os
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

_ENTRY = struct.Struct("<HHH")
_ENTRY_BYTES, _ENTRY_MARK = 46, b"PK\1\2"
_END, _END_MARK, _MOST_COMMENT = 22, b"PK\5\6", 2**16
_END64, _END64_MARK, _LOCATOR, _LOCATOR_MARK = 56, b"PK\6\6", 20, b"PK\6\7"
_FULL, _UTF8 = 0xFFFFFFFF, 0x800
# Columns of `spots`, as `places.ZipReader` takes them.
OFFSET, PACKED, SIZE, CHECKSUM, METHOD, FLAGS = range(6)
# (offset in an entry, bytes) of each of them.
_FIELDS = ((42, 4), (20, 4), (24, 4), (16, 4), (10, 2), (8, 2))


@dataclass(frozen=True)
class Directory:
    """The members of a zip in the order of its directory, `names` as zipfile reads them; `spots` (n, 6)."""

    names: list[str]
    spots: npt.NDArray[np.int64]


def read_directory(path: Path) -> Directory:
    """The directory of the zip at `path`. Raises zipfile.BadZipFile, NotImplementedError or OSError for one that
    zipfile cannot read either.
    """
    found = _parse(path)
    return found if found is not None else _by_zipfile(path)


def _by_zipfile(path: Path) -> Directory:
    """What zipfile says, where anything is unusual."""
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
    rows = [
        (info.header_offset, info.compress_size, info.file_size, info.CRC, info.compress_type, info.flag_bits)
        for info in infos
    ]
    return Directory([info.filename for info in infos], np.array(rows, dtype=np.int64).reshape(-1, 6))


def _parse(path: Path) -> Directory | None:
    """The directory; None where it is not as usual."""
    with path.open("rb") as file:
        total = file.seek(0, os.SEEK_END)
        start = max(0, total - _END - _MOST_COMMENT - _LOCATOR - _END64)
        file.seek(start)
        tail = file.read()
        span = _span(tail, start)
        if span is None or sum(span[1:]) > total:
            return None
        count, size, offset, before = span[0], span[1], span[2], span[3]
        file.seek(before + offset)
        data = file.read(size)
    begins = _begins(data, count)
    return None if begins is None else _entries(data, begins, before)


def _span(tail: bytes, start: int) -> tuple[int, int, int, int] | None:
    """(members, bytes, offset, bytes that lie before the zip) of the directory."""
    at = tail.rfind(_END_MARK)
    if at < 0 or len(tail) - at < _END:
        return None
    disks, _, here, count, size, offset, comment = struct.unpack_from("<HHHHIIH", tail, at + 4)
    if disks or here != count or len(tail) != at + _END + comment:
        return None
    end = start + at
    locator = at - _LOCATOR
    if locator >= 0 and tail[locator : locator + 4] == _LOCATOR_MARK:
        if locator < _END64 or tail[locator - _END64 : locator - _END64 + 4] != _END64_MARK:
            return None
        count, size, offset = struct.unpack_from("<QQQ", tail, locator - _END64 + 32)
        end = start + locator - _END64
    before = end - size - offset
    return (count, size, offset, before) if before >= 0 else None


def _begins(data: bytes, count: int) -> npt.NDArray[np.int64] | None:
    """Where each entry begins; None unless `count` of them fill the directory."""
    begins = np.empty(count, dtype=np.int64) if count * _ENTRY_BYTES <= len(data) else None
    at = 0
    for i in range(count if begins is not None else 0):
        if data[at : at + 4] != _ENTRY_MARK or at + _ENTRY_BYTES > len(data) or begins is None:
            return None
        begins[i] = at
        at += _ENTRY_BYTES + sum(_ENTRY.unpack_from(data, at + 28))
    return begins if at == len(data) else None


def _entries(data: bytes, begins: npt.NDArray[np.int64], before: int) -> Directory | None:
    """Names and spots of the entries; None where one has fields of 64 bits or a name that is cut by a NUL."""
    octets = np.frombuffer(data, dtype=np.uint8)
    spots = np.zeros((len(begins), len(_FIELDS)), dtype=np.int64)
    for column, (place, width) in enumerate(_FIELDS):
        for k in range(width):
            spots[:, column] |= octets[begins + place + k].astype(np.int64) << (8 * k)
    if (spots[:, [OFFSET, PACKED, SIZE]] == _FULL).any():
        return None
    spots[:, OFFSET] += before
    names = []
    utf8 = (spots[:, FLAGS] & _UTF8).astype(bool).tolist()
    for begin, is_utf8 in zip(begins.tolist(), utf8, strict=True):
        raw = data[begin + _ENTRY_BYTES : begin + _ENTRY_BYTES + (data[begin + 28] | data[begin + 29] << 8)]
        names.append(raw.decode("utf-8" if is_utf8 else "cp437"))
    return None if any("\0" in name for name in names) else Directory(names, spots)
