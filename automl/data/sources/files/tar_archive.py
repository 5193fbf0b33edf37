"""The files of a tar, read in place. A compressed tar is read from an unpacked temporary copy."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, cast

from automl.data.readers import Location, ReaderSpec, read_span
from automl.data.sources.base import Source
from automl.data.sources.files.folder import open_files
from automl.data.sources.files.zip_archive import safe_member
from automl.errors import DataError

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
# Images hardly compress: an archive that unpacks to more than 50 times its size was made to fill a disk.
_MOST_GROWTH = 50
_ALWAYS_ALLOWED = 2**30
_BROKEN = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError)


class TarFiles:
    """The members of a tar. Raises DataError if it is none, is damaged, or holds links, devices or unsafe names."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self.name = next(path.name[: -len(end)] for end in SUFFIXES[::-1] if path.name.lower().endswith(end))
        self._stream: IO[bytes] | None = None
        try:
            self._stream = path.open("rb") if path.suffix.lower() == ".tar" else _unpacked(path)
            with tarfile.open(fileobj=self._stream, mode="r:") as archive:
                self._members = _members(archive, path)
        except _BROKEN as error:
            self.close()
            raise DataError(
                f"the data must be a readable tar, but {str(path)!r} is not ({error}): copy or pack it again"
            ) from error
        except DataError:
            self.close()
            raise
        self.paths: Sequence[str] = list(self._members)

    def read(self, path: str) -> bytes:
        """Return the bytes of a member; thread-safe. Raises DataError if it is truncated or too large."""
        if path not in self._members or self._stream is None:
            raise DataError("not in the tar")
        offset, size, _ = self._members[path]
        return read_span(self._stream.fileno(), offset, size)

    def states(self, paths: Sequence[str]) -> list[str]:
        """Return offset, size and time of each member."""
        return ["\0".join(map(str, self._members.get(path, ()))) for path in paths]

    def has(self, path: str) -> bool:
        return path in self._members

    def reader_spec(self, paths: Sequence[str]) -> ReaderSpec | None:
        """Return the tar and the offsets of the members; None for a compressed one, whose copy has no name."""
        if Path(self.where).suffix.lower() != ".tar" or not all(path in self._members for path in paths):
            return None

        def locations(rows: Sequence[int]) -> list[Location]:
            return [self._members[paths[row]][:2] for row in rows]

        return ReaderSpec("tar", str(Path(self.where).resolve()), locations)

    def root_state(self) -> str:
        """Return path, size and modification time of the tar, which has no checksums of its members."""
        found = Path(self.where).stat()
        return f"{Path(self.where).resolve()}\0{found.st_size}\0{found.st_mtime_ns}"

    def close(self) -> None:
        """Close the tar and remove the unpacked copy."""
        if self._stream is not None:
            self._stream.close()


def open_tar(data: Any, *, target: str | None, task: str, image_column: str | None = None) -> Source:
    """Open a tar of class folders, or of a manifest and its images. Raises DataError."""
    return open_files(TarFiles(Path(data)), target=target, task=task, image_column=image_column)


def is_tar(path: Path) -> bool:
    """Return whether the name is that of a tar."""
    return path.name.lower().endswith(SUFFIXES)


def _members(archive: tarfile.TarFile, path: Path) -> dict[str, tuple[int, int, int]]:
    """Return (offset, size, time) of each file by its name, sorted; of equal names the last one counts."""
    members: dict[str, tuple[int, int, int]] = {}
    for info in archive:
        name = safe_member(info.name, path, "tar")
        if info.isdir():
            continue
        if not info.isreg() or info.issparse():
            raise DataError(
                f"a tar must hold plain files and folders, but {info.name!r} in {str(path)!r} is a link or a "
                "device: pack it again with the files themselves (tar --dereference)"
            )
        members[name.removeprefix("./")] = (info.offset_data, info.size, int(info.mtime))
    return dict(sorted(members.items()))


def _unpacked(path: Path) -> IO[bytes]:
    """Unpack a compressed tar into a nameless file on disk."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the source
    free = shutil.disk_usage(tempfile.gettempdir()).free
    allowed = min(free // 2, max(_ALWAYS_ALLOWED, _MOST_GROWTH * path.stat().st_size))
    try:
        with _opened(path) as packed:
            while chunk := packed.read(2**20):
                copy.write(chunk)
                if copy.tell() > allowed:
                    raise DataError(
                        f"a compressed tar must unpack to at most {allowed / 1e9:.1f} GB here, but {str(path)!r} "
                        "is larger: unpack it yourself and give the folder"
                    )
    except BaseException:
        copy.close()
        raise
    copy.seek(0)  # also flushes Python's buffer
    return copy


def _opened(path: Path) -> IO[bytes]:
    if path.suffix.lower() in (".gz", ".tgz"):
        return cast(IO[bytes], gzip.open(path, "rb"))
    if path.suffix.lower() in (".bz2", ".tbz2"):
        return bz2.open(path, "rb")
    return lzma.open(path, "rb")
