"""Tars."""

from __future__ import annotations

import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from automl.data.sources import open_source
from automl.data.sources.files import tar_archive as tar
from automl.errors import DataError
from tests.data.conftest import MakeFolder, encoded, fingerprint, pack_tar, random_image


def _tar(
    path: Path, *members: tuple[str, bytes], change: Callable[[tarfile.TarInfo], None] | None = None
) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            if change is not None:
                change(info)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_tar_holds_what_the_folder_does(make_folder: MakeFolder, tmp_path: Path, ending: str) -> None:
    folder = make_folder({"train/a": 2, "train/b": 2, "test/a": 1, "test/b": 1})
    source = open_source(pack_tar(folder, tmp_path / f"photos.{ending}"))
    plain = open_source(folder)
    assert (source.name, source.files, source.splits) == ("photos", plain.files, plain.splits)
    assert fingerprint(source) == fingerprint(plain)
    source.close()


@pytest.mark.parametrize("name", ["../a/1.png", "/a/1.png", "a/../../1.png"])
def test_member_that_leaves_the_tar_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="the names in a tar must stay inside of it"):
        open_source(_tar(tmp_path / "x.tar", ("a/1.png", b""), (name, b"")))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    def change(info: tarfile.TarInfo) -> None:
        info.type, info.linkname = kind, "/etc/hostname"

    with pytest.raises(DataError, match=r"'a/1.png' in .* is a link or a device"):
        open_source(_tar(tmp_path / "x.tar", ("a/1.png", b""), change=change))


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.tgz", "x.tar.xz", "x.tar.bz2"])
def test_file_that_is_no_tar_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"nothing of the kind" * 60)
    with pytest.raises(DataError, match="must be a readable tar"):
        open_source(tmp_path / name)


def test_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("a/1.png")
        info.size = 4 * 2**20
        archive.addfile(info, io.BytesIO(bytes(info.size)))
    monkeypatch.setattr(tar, "_ALWAYS_ALLOWED", 2**20)
    with pytest.raises(DataError, match="must unpack to at most 0.0 GB here"):
        open_source(path)


def test_cut_tar_names_the_image(tmp_path: Path) -> None:
    data = encoded(random_image(1))
    path = _tar(tmp_path / "x.tar", ("a/1.png", data), ("b/1.png", data))
    source = open_source(path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(DataError, match=r"b/1.png: damaged in the tar \(cut off\)"):
        source.load(1)
    source.close()


def _with_header(path: Path, at: int, place: int, field: bytes) -> Path:
    """Write a field of the header at a byte, with the right checksum."""
    data = bytearray(path.read_bytes())
    header = data[at : at + 512]
    header[place : place + len(field)] = field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    data[at : at + 512] = header
    path.write_bytes(data)
    return path


def _size(number: int) -> bytes:
    return (
        b"\xff" + (2**88 + number).to_bytes(11, "big") if number < 0 else b"\x80" + number.to_bytes(11, "big")
    )


@pytest.mark.parametrize("number", [-512, -1024, -1536, -1, -(10**6), 2**40, 2**62, 2**80])
@pytest.mark.parametrize("member", [0, 1])
def test_impossible_sizes_are_refused_and_never_lead_in_a_circle(
    tmp_path: Path, number: int, member: int
) -> None:
    path = _tar(tmp_path / "x.tar", ("a/1.png", b"x" * 512), ("b/1.png", b"y" * 512), ("b/2.png", b"z"))
    with pytest.raises(DataError, match="must be a readable tar"):
        open_source(_with_header(path, 1024 * member, 124, _size(number)))


@pytest.mark.parametrize(
    "pax",
    [
        {"mtime": "nan"},
        {"mtime": "inf"},
        {"mtime": "1e400"},
        {"size": "-1"},
        {"size": "9" * 30},
        {"path": "/etc/x.png"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "5"},
    ],
)
def test_odd_pax_headers_are_read_or_refused(tmp_path: Path, pax: dict[str, str]) -> None:
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("a/1.png", "b/1.png"):
            info = tarfile.TarInfo(name)
            info.size = 4
            info.pax_headers = pax if name.startswith("a") else {}
            archive.addfile(info, io.BytesIO(b"1000"))
    if "mtime" in pax:
        source = open_source(tmp_path / "x.tar")
        assert source.files == ["a/1.png", "b/1.png"]
        source.close()
    else:
        with pytest.raises(
            DataError, match="a tar must|must be a readable tar|must stay inside of it"
        ) as caught:
            open_source(tmp_path / "x.tar")
        assert "'int'" not in str(caught.value)


def test_table_of_sparse_blocks_without_end_is_not_waited_for(tmp_path: Path) -> None:
    pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "5"}
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a/1.png")
        info.pax_headers, info.size = pax, 512
        archive.addfile(info, io.BytesIO(b"1000000\n" + b"1\n" * 252))
    data = (tmp_path / "x.tar").read_bytes()
    (tmp_path / "x.tar").write_bytes(data[: data.rindex(b"1\n") + 2])
    with pytest.raises(DataError, match="must be a readable tar"):
        open_source(tmp_path / "x.tar")


def test_long_name_of_a_gigabyte_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo(f"a/{'x' * 200}.png"))
    path = _with_header(tmp_path / "x.tar", 0, 124, _size(2**30))
    with pytest.raises(DataError, match="a header that is too long"):
        open_source(path)


def test_tar_with_a_damaged_header_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = _tar(tmp_path / "x.tar", ("a/1.png", b"x"), ("b/1.png", b"y"), ("b/2.png", b"z"))
    data = bytearray(path.read_bytes())
    data[1024 + 150] ^= 1  # the checksum of the second member
    path.write_bytes(data)
    with pytest.raises(DataError, match="damaged at byte 1,024"):
        open_source(path)


def test_dictionary_of_gigabytes_is_refused(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**30}]
    content = _tar(tmp_path / "x.tar", ("a/1.png", b"x"), ("b/1.png", b"y")).read_bytes()
    (tmp_path / "x.tar.xz").write_bytes(lzma.compress(content, filters=filters))
    with pytest.raises(DataError, match="must be a readable tar"):
        open_source(tmp_path / "x.tar.xz")


def test_members_of_the_same_name_are_told(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        for name, seed in (("a/1.png", 1), ("b/1.png", 2), ("./a/1.png", 3)):
            info = tarfile.TarInfo(name)
            data = encoded(random_image(seed))
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    source = open_source(path)
    assert source.notes[0].startswith("1 member of the tar left out, as a later one has the same name")
    assert source.read(0) == encoded(random_image(3))
    source.close()
