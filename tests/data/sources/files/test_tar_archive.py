"""Tars."""

from __future__ import annotations

import io
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
