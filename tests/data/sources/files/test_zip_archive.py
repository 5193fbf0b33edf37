"""Zips of class folders."""

from __future__ import annotations

import io
import os
import shutil
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from automl.data.sources import open_source
from automl.errors import DataError
from tests.data.conftest import encoded, random_image


def _zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_zip_with_a_folder_around_and_backslashes_is_read(tmp_path: Path) -> None:
    data = encoded(random_image(1))
    source = open_source(
        _zip(tmp_path / "pets.zip", {"pets\\a\\1.png": data, "pets/b/2.png": data, "pets/": b""})
    )
    assert source.name == "pets"
    assert source.files == ["pets/a/1.png", "pets/b/2.png"]
    assert np.array_equal(np.asarray(source.load(0)), np.asarray(random_image(1)))
    source.close()


@pytest.mark.parametrize("name", ["../a/1.png", "/a/1.png", "a/../../1.png", "C:/a/1.png"])
def test_member_that_leaves_the_zip_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="must stay inside of it"):
        open_source(_zip(tmp_path / "x.zip", {name: b"", "a/1.png": b""}))


def test_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"nothing")
    with pytest.raises(DataError, match="must be a readable zip"):
        open_source(tmp_path / "x.zip")


def test_damaged_member_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/1.png", encoded(random_image(1)))
        archive.writestr("b/1.png", encoded(random_image(2)))
    data = bytearray(path.read_bytes())
    data[80] ^= 0xFF
    path.write_bytes(data)
    source = open_source(path)
    with pytest.raises(DataError, match=r"a/1.png: damaged in the zip \(Bad CRC-32"):
        source.load(0)
    source.close()


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
@pytest.mark.parametrize("before", [b"", b"#!/bin/sh\n" * 100])
def test_members_are_read_whatever_their_method_and_what_lies_before(
    tmp_path: Path, method: int, before: bytes
) -> None:
    members = {f"{'ab'[i % 2]}/ü{i}.png": encoded(random_image(i)) for i in range(4)} | {"a/empty.png": b""}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    (tmp_path / "x.zip").write_bytes(before + buffer.getvalue())
    source = open_source(tmp_path / "x.zip")
    assert {file: source.read(i) for i, file in enumerate(source.files)} == members
    source.close()


def test_state_follows_the_checksums_not_the_place(tmp_path: Path) -> None:
    members = {"a/1.png": encoded(random_image(1)), "b/1.png": encoded(random_image(2))}
    first = open_source(_zip(tmp_path / "x.zip", members))
    second = open_source(Path(shutil.copy2(tmp_path / "x.zip", tmp_path / "y.zip")))
    other = open_source(_zip(tmp_path / "z.zip", {**members, "b/1.png": encoded(random_image(3))}))
    assert first.state() == second.state() != other.state()
    for source in (first, second, other):
        source.close()


def test_state_tells_whether_a_member_is_encrypted(tmp_path: Path) -> None:
    def encrypt(data: bytearray, place: int) -> None:
        data[place + 8] |= 1

    plain = _three(tmp_path / "x.zip")
    times = (plain.stat().st_atime_ns, plain.stat().st_mtime_ns)
    locked = _with_directory(Path(shutil.copy(plain, tmp_path / "y.zip")), encrypt)
    os.utime(locked, ns=times)
    with closing(open_source(plain)) as one, closing(open_source(locked)) as other:
        assert one.state() != other.state()


def _with_directory(path: Path, change: Callable[[bytearray, int], None]) -> Path:
    """Change every entry of the central directory, which begins at the given place."""
    data = bytearray(path.read_bytes())
    place = data.find(b"PK\1\2")
    while place >= 0:
        change(data, place)
        place = data.find(b"PK\1\2", place + 4)
    path.write_bytes(data)
    return path


def _three(path: Path) -> Path:
    return _zip(path, {f"{name}/1.png": encoded(random_image(i)) for i, name in enumerate("abc")})


def test_members_that_share_bytes_are_refused(tmp_path: Path) -> None:
    def at_the_first(data: bytearray, place: int) -> None:
        data[place + 42 : place + 46] = bytes(4)

    with pytest.raises(DataError, match="must lie one after the other, but those of .* share bytes"):
        open_source(_with_directory(_three(tmp_path / "x.zip"), at_the_first))


@pytest.mark.parametrize("number", [2**63, 2**64 - 1])
@pytest.mark.parametrize("field", [(20, "damaged in the zip"), (24, "unpacks to 9223372.0 TB"), (42, "")])
def test_sizes_and_offsets_beyond_any_file_are_refused(
    tmp_path: Path, field: tuple[int, str], number: int
) -> None:
    place, reason = field
    path = _three(tmp_path / "x.zip")
    data = bytearray(path.read_bytes())
    last, end = data.rfind(b"PK\1\2"), data.rfind(b"PK\5\6")
    data[last + place : last + place + 4] = b"\xff" * 4
    extra = struct.pack("<HHQ", 1, 8, number)  # ZIP64
    data[last + 30 : last + 32] = struct.pack("<H", len(extra))
    data[end:end] = extra
    end += len(extra)
    data[end + 12 : end + 16] = struct.pack(
        "<I", struct.unpack("<I", data[end + 12 : end + 16])[0] + len(extra)
    )
    path.write_bytes(data)
    source = open_source(path)
    with pytest.raises(DataError, match=f"c/1.png: .*{reason}"):
        source.load(2)
    source.load(0)
    source.close()


def test_bzip2_that_unpacks_to_more_than_it_says_is_refused_without_unpacking_all(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a/1.png", b"")
        archive.writestr("b/1.png", bytes(300 * 2**20))

    def small(data: bytearray, place: int) -> None:
        if data[place + 46 :].startswith(b"b/1"):
            data[place + 24 : place + 28] = struct.pack("<I", 1000)

    source = open_source(_with_directory(path, small))
    tracemalloc.start()
    with pytest.raises(DataError, match="damaged in the zip"):
        source.load(1)
    assert tracemalloc.get_traced_memory()[1] < 150 * 2**20
    tracemalloc.stop()
    source.close()


def test_members_of_the_same_name_are_told(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        for name, seed in (("a/1.png", 1), ("b/1.png", 2), ("a/1.png", 3)):
            archive.writestr(name, encoded(random_image(seed)))
    source = open_source(path)
    assert source.notes[0].startswith(
        "1 member of the zip left out, as a later one has the same name ('a/1.png')"
    )
    assert source.read(0) == encoded(random_image(3))
    source.close()
