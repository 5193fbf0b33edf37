"""The files of a tar, read in place. A compressed tar is read from an unpacked temporary copy."""

from __future__ import annotations

import bz2
import gzip
import lzma
import math
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, cast

from automl.data.readers import MAX_MEMBER_BYTES, Location, ReaderSpec, read_span
from automl.data.sources.base import Source
from automl.data.sources.files.base import Paths
from automl.data.sources.files.folder import open_files
from automl.data.sources.files.zip_archive import repeated_note, safe_member
from automl.errors import DataError, reason_of
from automl.records import ReadOptions

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
# Images hardly compress: an archive that unpacks to more than 50 times its size was made to fill a disk.
_MOST_GROWTH = 50
_ALWAYS_ALLOWED = 2**30
_LONGEST_HEADER = 2**20  # of a member: its name, and what else tar and pax write before its content
_MOST_EMPTY = 16  # reads at the end of the file
_LZMA_MEMORY = 256 * 2**20  # four times what `xz -9` needs


class TarFiles:
    """The members of a tar. Raises DataError if it is none, is damaged, or holds links, devices or unsafe names."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self.name = next(path.name[: -len(end)] for end in SUFFIXES[::-1] if path.name.lower().endswith(end))
        self._stream: IO[bytes] | None = None
        try:
            self._stream = path.open("rb") if path.suffix.lower() == ".tar" else _unpacked(path)
            headers = cast(IO[bytes], _Headers(self._stream))
            with tarfile.open(fileobj=headers, mode="r:") as archive:
                self._members, again = _members(archive, path)
                _require_end(archive, self._stream)
        except DataError:
            self.close()
            raise
        except Exception as error:  # tarfile and the decompressors raise nearly anything on bad bytes
            self.close()
            impossible = isinstance(error, OverflowError) or "offset-sized" in str(error)
            why = "a size in it is impossible" if impossible else reason_of(error)
            raise DataError(
                f"the data must be a readable tar, but {str(path)!r} is not ({why}): copy or pack it again"
            ) from error
        self.notes = repeated_note(again, "tar")
        self.paths = Paths(self._members)

    def read(self, path: str, *, most: int = MAX_MEMBER_BYTES) -> bytes:
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


class _Headers:
    """A tar from which headers are read: none is longer than a megabyte, and none goes on behind the end of the file.

    tarfile believes the lengths in them, and waits for the rest of a table of sparse blocks for ever.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._empty = stream, 0
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes. Raises ReadError for more than a header may have."""
        if not 0 <= size <= _LONGEST_HEADER:
            raise tarfile.ReadError("a header that is too long")
        data = self._stream.read(size)
        self._empty += not data
        if self._empty > _MOST_EMPTY:
            raise tarfile.ReadError("cut off in a header")
        return data


def open_tar(data: Any, options: ReadOptions) -> Source:
    """Open a tar of class folders, or of a manifest and its images. Raises DataError."""
    return open_files(TarFiles(Path(data)), options)


def is_tar(path: Path) -> bool:
    """Return whether the name is that of a tar."""
    return path.name.lower().endswith(SUFFIXES)


def _members(archive: tarfile.TarFile, path: Path) -> tuple[dict[str, tuple[int, int, int]], list[str]]:
    """Return (offset, size, time) of each file by its name, sorted, and the names of several: the last one counts."""
    members: dict[str, tuple[int, int, int]] = {}
    again: list[str] = []
    end = 0
    for info in archive:
        if info.size < 0 or archive.offset <= end:  # a negative size would lead back, and so in a circle
            raise tarfile.ReadError(f"the size of {info.name!r} is impossible")
        end = archive.offset
        name = safe_member(info.name, path, "tar")
        if info.isdir():
            continue
        if not info.isreg() or info.issparse():
            raise DataError(
                f"a tar must hold plain files and folders, but {info.name!r} in {str(path)!r} is a link or a "
                "device: pack it again with the files themselves (tar --dereference)"
            )
        name = name.removeprefix("./")
        again += [name] if name in members else []
        members[name] = (info.offset_data, info.size, _seconds(info.mtime))
    return dict(sorted(members.items())), again


def _seconds(time: float) -> int:
    """Return a time in whole seconds, 0 for one that is no number."""
    return int(time) if math.isfinite(time) else 0


def _require_end(archive: tarfile.TarFile, stream: IO[bytes]) -> None:
    """Raise ReadError unless the list of members ends with zeros or the file: tarfile ends it at any damaged header."""
    stream.seek(archive.offset)
    if any(stream.read(tarfile.BLOCKSIZE)):
        raise tarfile.ReadError(f"damaged at byte {archive.offset:,}")


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
    with path.open("rb") as packed:  # dictionaries of some gigabytes are refused
        lzma.LZMADecompressor(memlimit=_LZMA_MEMORY).decompress(packed.read(2**16), max_length=1)
    return lzma.open(path, "rb")
