"""The directory of a zip, against zipfile."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from pathlib import Path

import pytest

from automl.data.sources.files import zip_index as directory
from automl.data.sources.files.zip_index import read_directory


def _write(path: Path, *, before: bytes = b"", comment: bytes = b"") -> Path:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for i, name in enumerate(("a/1.png", "größe/图.jpg", "empty/", "a/1.png " * 20)):
            info = zipfile.ZipInfo(name)
            info.extra, info.comment = b"\x99\x99\x02\x00ab" * i, b"word" * i
            info.compress_type = zipfile.ZIP_DEFLATED if i % 2 else zipfile.ZIP_STORED
            archive.writestr(info, b"content" * i)
        archive.comment = comment
    path.write_bytes(before + buffer.getvalue())
    return path


def _expected(path: Path) -> list[tuple[str, list[int]]]:
    with zipfile.ZipFile(path) as archive:
        return [
            (i.filename, [i.header_offset, i.compress_size, i.file_size, i.CRC, i.compress_type, i.flag_bits])
            for i in archive.infolist()
        ]


def _found(path: Path) -> list[tuple[str, list[int]]]:
    found = read_directory(path)
    return list(zip(found.names, found.spots.tolist(), strict=True))


@pytest.mark.parametrize("before", [b"", b"#!/bin/sh\n" * 9])
@pytest.mark.parametrize("comment", [b"", b"made by hand PK\x05 " * 50])
def test_members_are_those_that_zipfile_finds(tmp_path: Path, before: bytes, comment: bytes) -> None:
    path = _write(tmp_path / "x.zip", before=before, comment=comment)
    assert directory._parse(path) is not None
    assert _found(path) == _expected(path)


def test_empty_zip_has_no_members(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w"):
        pass
    assert _found(tmp_path / "x.zip") == []


def test_more_members_than_16_bits_count_are_found(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(2**16 + 3):
            archive.writestr(f"{i}", b"")
    assert directory._parse(path) is not None
    assert _found(path) == _expected(path)


def test_sizes_of_64_bits_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive, archive.open("a.bin", "w", force_zip64=True) as member:
        member.write(b"content")
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2")
    extra = struct.pack("<HHQQ", 1, 16, 7, 7)
    data[at + 20 : at + 28] = b"\xff" * 8
    data[at + 30 : at + 32] = struct.pack("<H", len(extra))
    data[at + 46 + 5 : at + 46 + 5] = extra
    end = data.index(b"PK\5\6")
    data[end + 12 : end + 16] = struct.pack("<I", end - at)
    path.write_bytes(data)
    assert directory._parse(path) is None
    assert _found(path) == _expected(path) == [("a.bin", _found(path)[0][1])]
    assert _found(path)[0][1][1:3] == [7, 7]


@pytest.mark.parametrize("seed", range(60))
def test_damaged_directory_is_refused_or_read_as_zipfile_does(tmp_path: Path, seed: int) -> None:
    path = _write(tmp_path / "x.zip")
    data = bytearray(path.read_bytes())
    draw = random.Random(seed)
    begin = data.index(b"PK\1\2")
    for _ in range(2):
        data[draw.randrange(begin, len(data))] = draw.randrange(256)
    path.write_bytes(data[: len(data) - draw.choice([0, 0, 1, 30])])
    try:
        expected = _expected(path)
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError):
        expected = []
    try:
        found = _found(path)
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError):
        found = []
    assert not found or not expected or found == expected
