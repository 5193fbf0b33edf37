"""Pictures that are decoded whenever they are asked for, where the disk has no room for all of them decoded."""

from __future__ import annotations

import json
import os
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.pixels import open_header, to_pixels
from automl.data.sources.base import Source
from automl.data.sources.files.base import Files, FolderFiles, LooseFiles
from automl.data.sources.files.tar_archive import TarFiles
from automl.data.sources.files.zip_archive import ZipFiles
from automl.errors import DataError
from automl.records import Rows

STREAM = "images.json"
_MEASURED = 64

_Index = npt.NDArray[np.int64]


class StreamedImages:
    """Stands for an array uint8 (N, size, size, channels) of which `self[rows]` decodes a part, in this thread.

    Any number of threads may ask at once. Raises DataError for a file that the scan could read and that cannot be
    read any more.
    """

    def __init__(self, files: Files, paths: list[str], *, size: int, channels: int) -> None:
        self.shape = (len(paths), size, size, channels)
        self._files, self._paths = files, paths
        weakref.finalize(self, files.close)

    def __getitem__(self, rows: _Index) -> npt.NDArray[np.uint8]:
        """The pictures of these rows, (len(rows), size, size, channels)."""
        pixels = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8)
        with _quiet():
            for place, row in enumerate(rows.tolist()):
                pixels[place] = self._decode(self._paths[row])
        return pixels

    def __len__(self) -> int:
        return self.shape[0]

    def _decode(self, path: str) -> npt.NDArray[np.uint8]:
        try:
            image = open_header(self._files.read(path))
            return to_pixels(image, size=self.shape[1], channels=self.shape[3])
        except DataError as error:
            raise DataError(
                f"images must stay where they are while a study reads them, but {path!r} in {self._files.where!r} "
                f"has changed ({error}): put it back, or give --max-disk room for the decoded images"
            ) from error


def can_stream(source: Source) -> bool:
    """Whether other processes can open the pictures of `source`: those in folders, zips and plain tars."""
    stored = source.stored()
    return stored is not None and _describe(stored[0]) is not None


def write_stream(path: Path, source: Source, *, size: int, channels: int) -> None:
    """Write what `open_images` needs to decode the rows of `source` in any process of this machine, as JSON.

    Raises DataError if they lie in no files, or if the list can neither be written nor is there already.
    """
    stored = source.stored()
    place = None if stored is None else _describe(stored[0])
    if stored is None or place is None:
        raise DataError(f"images can be streamed from folders, zips and tars only, not from {source.name!r}")
    content = {"place": place, "size": size, "channels": channels, "paths": list(stored[1])}
    # ASCII, because names that are no UTF-8 hold lone surrogates.
    text = json.dumps(content, ensure_ascii=True)
    try:
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.write_text(text, encoding="ascii")
        draft.replace(path)
    except OSError as error:
        if not path.exists():
            raise DataError(
                f"the image cache must be writable, but {str(path)!r} is not ({error.strerror})"
            ) from error


def is_streamed(path: Path) -> bool:
    """Whether `Rows.images` names a list of files rather than decoded pictures."""
    return path.suffix == ".json"


def open_images(path: Path) -> npt.NDArray[np.uint8] | StreamedImages:
    """The pictures that `Rows.images` names: mapped into memory, or to be decoded; (N, H, W, C) either way."""
    if not is_streamed(path):
        return np.asarray(np.load(path, mmap_mode="r"))
    return _opened(path, path.stat().st_mtime_ns)


def streaming_cost(rows: Rows) -> str:
    """One sentence on how much longer it takes here to decode pictures than to gather decoded ones; measured."""
    index = np.load(rows.index)[:_MEASURED]
    images = open_images(rows.images)
    begun = time.perf_counter()
    pixels = images[index]
    decoding = time.perf_counter() - begun
    begun = time.perf_counter()
    np.ascontiguousarray(pixels[::-1])
    gathering = time.perf_counter() - begun
    each, other = (1000 * seconds / len(index) for seconds in (decoding, gathering))
    return (
        f"Decoding takes {each:.2f} ms an image on one core here, against {other:.4f} ms for one that lies decoded "
        "in the cache; --max-disk or free disk space would make training faster."
    )


@lru_cache(maxsize=2)  # every epoch opens its rows anew, and a zip's directory takes a while to read
def _opened(path: Path, changed: int) -> StreamedImages:
    content: dict[str, Any] = json.loads(path.read_text(encoding="ascii"))
    kind, place = content["place"]
    return StreamedImages(
        _KINDS[kind](Path(place)), content["paths"], size=content["size"], channels=content["channels"]
    )


def _loose(root: Path) -> Files:
    return LooseFiles(root, name=root.name)


_KINDS: dict[str, Any] = {"folder": _loose, "zip": ZipFiles, "tar": TarFiles}


def _describe(files: Files) -> tuple[str, str] | None:
    """(kind, absolute path) of what can be opened again; a compressed tar would be unpacked by every process."""
    if isinstance(files, (FolderFiles, LooseFiles)):
        return "folder", str(files.root.resolve())
    path = Path(files.where).resolve()
    if isinstance(files, ZipFiles):
        return "zip", str(path)
    return ("tar", str(path)) if isinstance(files, TarFiles) and path.suffix.lower() == ".tar" else None


_LOCK = threading.Lock()
_STACK: list[ExitStack] = []
_USERS = [0]


@contextmanager
def _quiet() -> Iterator[None]:
    """No warning of Pillow's comes through while any thread is inside. Filters belong to the whole process, and
    threads that each saved and restored them would undo one another: the first one in and the last one out do it."""
    with _LOCK:
        if _USERS[0] == 0:
            stack = ExitStack()
            stack.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\.")
            _STACK.append(stack)
        _USERS[0] += 1
    try:
        yield
    finally:
        with _LOCK:
            _USERS[0] -= 1
            if _USERS[0] == 0:
                _STACK.pop().close()
