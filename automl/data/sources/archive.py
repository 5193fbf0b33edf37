"""A zip of a folder of class folders, read in place."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from automl.data.pixels import open_header
from automl.data.sources.base import Labels, digests_of, hash_lines, load_row, require_classification
from automl.data.sources.layout import printable, read_layout
from automl.errors import DataError
from automl.records import Task

# A member that unpacks to more is no picture that could be decoded, and unpacking it would fill the memory.
MAX_MEMBER_BYTES = 512 * 2**20


class ZipSource:
    """Pictures in a zip, never unpacked to disk. Raises DataError if it is no zip, is damaged or has unsafe
    names.
    """

    task: Task = "classification"

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
            raise DataError(
                f"the data must be a readable zip, but {str(path)!r} is not ({error}): copy or pack it again"
            ) from error
        try:
            members = _members(self._zip, path)
            layout = read_layout(list(members), where=str(path))
        except DataError:
            self._zip.close()
            raise
        names = list(members)
        self._infos = [members[names[i]] for i in layout.kept]
        self.files: Sequence[str] = [printable(names[i]) for i in layout.kept]
        self.classes = tuple(printable(name) for name in layout.classes)
        self.labels: Labels = np.array(layout.labels, dtype=np.int64)
        self.splits: Sequence[str] = layout.splits
        self.notes = layout.notes

    @property
    def targets(self) -> Labels:
        """The labels."""
        return self.labels

    def read(self, i: int) -> bytes:
        """The unpacked bytes of member i. Raises DataError if it is damaged, encrypted or far too large."""
        info = self._infos[i]
        if info.file_size > MAX_MEMBER_BYTES:
            raise DataError(f"unpacks to {info.file_size / 2**20:.0f} MB")
        if info.flag_bits & 0x1:
            raise DataError("encrypted")
        try:
            return self._zip.read(info)
        except (
            zipfile.BadZipFile,
            zlib.error,
            OSError,
            EOFError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise DataError(f"damaged in the zip ({error})") from error

    def decode(self, data: bytes) -> Image.Image:
        """The picture in the bytes of a member. Raises DataError with a short reason."""
        return open_header(data)

    def load(self, i: int) -> Image.Image:
        """The picture of member i. Raises DataError ("FILE: reason")."""
        return load_row(self, i)

    def state(self) -> str:
        """Hash of the names, sizes and checksums in the zip's directory."""
        return hash_lines(
            f"{file}\0{info.file_size}\0{info.CRC}"
            for file, info in zip(self.files, self._infos, strict=True)
        )

    def fingerprint(self) -> str:
        """Hash of relative paths and contents."""
        return self.content(digests_of(self))

    def content(self, digests: Sequence[str]) -> str:
        """The fingerprint from the SHA-256 of every member."""
        return hash_lines(f"{file}\0{digest}" for file, digest in zip(self.files, digests, strict=True))

    def close(self) -> None:
        """Close the zip."""
        self._zip.close()


def open_zip(data: Any, *, target: str | None, task: str) -> ZipSource:
    """Open a zip of class folders. Raises DataError."""
    require_classification(task, target, "a zip of class folders")
    return ZipSource(Path(data))


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The files of the archive by name, sorted; of equal names the last counts, as when unpacking."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.replace("\\", "/")
        if info.is_dir():
            continue
        if name.startswith("/") or ".." in PurePosixPath(name).parts or re.match(r"[A-Za-z]:", name):
            raise DataError(
                f"the names in a zip must stay inside of it, but {str(path)!r} holds {info.filename!r}: pack "
                "it again"
            )
        members[name] = info
    return dict(sorted(members.items()))
