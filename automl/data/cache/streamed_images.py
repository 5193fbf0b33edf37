"""Images that are decoded in every epoch, because the disk has no room for all of them decoded."""

from __future__ import annotations

import json
import os
import time
import weakref
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.decoding.image_format import Target
from automl.data.pixels import open_header, quiet_pillow, to_pixels
from automl.data.sources.base import Source
from automl.data.sources.files.base import Files, LooseFiles
from automl.data.sources.files.tar_archive import TarFiles
from automl.data.sources.files.zip_archive import ZipFiles
from automl.errors import DataError
from automl.records import Rows

STREAM = "images.json"
_MEASURED = 64

_Index = npt.NDArray[np.int64]


class StreamedImages:
    """Acts as an array uint8 (N, size, size, channels): `self[rows]` decodes these rows, in the calling thread.

    Thread-safe. Raises DataError for a file that can no longer be read.
    """

    def __init__(self, files: Files, paths: list[str], target: Target) -> None:
        self.shape = (len(paths), target.img_size, target.img_size, target.in_chans)
        self._resize, self._pixel_range = target.resize, target.pixel_range
        self._files, self._paths = files, paths
        weakref.finalize(self, files.close)

    def __getitem__(self, rows: _Index) -> npt.NDArray[np.uint8]:
        """Return the images of these rows, (len(rows), size, size, channels)."""
        pixels = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8)
        with quiet_pillow():
            for place, row in enumerate(rows.tolist()):
                pixels[place] = self._decode(self._paths[row])
        return pixels

    def __len__(self) -> int:
        return self.shape[0]

    def _decode(self, path: str) -> npt.NDArray[np.uint8]:
        try:
            image = open_header(self._files.read(path))
            return to_pixels(
                image,
                size=self.shape[1],
                channels=self.shape[3],
                resize=self._resize,
                pixel_range=self._pixel_range,
            )
        except DataError as error:
            raise DataError(
                f"images must stay where they are while a study reads them, but {path!r} in {self._files.where!r} "
                f"has changed ({error}): put it back, or give --max-disk room for the decoded images"
            ) from error


def can_stream(source: Source) -> bool:
    """Return whether other processes can open the images of `source`: in folders, zips and plain tars."""
    stored = source.stored()
    return stored is not None and _describe(stored[0]) is not None


def write_stream(path: Path, source: Source, target: Target) -> None:
    """Write the JSON file that `open_images` needs to decode the rows of `source` in any process of this machine.

    Raises DataError if the images lie in no files, or if the file is missing and cannot be written.
    """
    stored = source.stored()
    place = None if stored is None else _describe(stored[0])
    if stored is None or place is None:
        raise DataError(f"images can be streamed from folders, zips and tars only, not from {source.name!r}")
    content = {
        "place": place,
        "size": target.img_size,
        "channels": target.in_chans,
        "resize": target.resize,
        "pixel_range": target.pixel_range,
        "paths": list(stored[1]),
    }
    # ASCII, because names that are not UTF-8 hold lone surrogates.
    text = json.dumps(content, ensure_ascii=True)
    try:
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.write_text(text, encoding="ascii")
        draft.replace(path)
    except OSError as error:
        if not path.exists():
            raise DataError(
                f"the image cache must be writable, but {str(path)!r} is not ({error.strerror}): set AUTOML_CACHE_DIR "
                "to another folder"
            ) from error


def is_streamed(path: Path) -> bool:
    """Return whether `Rows.images` names a list of files rather than decoded images."""
    return path.suffix == ".json"


def open_images(path: Path) -> npt.NDArray[np.uint8] | StreamedImages:
    """Open the images that `Rows.images` names, mapped into memory or to be decoded; (N, H, W, C) either way."""
    if not is_streamed(path):
        return np.asarray(np.load(path, mmap_mode="r"))
    return _opened(path, path.stat().st_mtime_ns)


def streaming_cost(rows: Rows) -> str:
    """Measure decoding against gathering decoded images, and return a sentence on the cost of streaming."""
    index = np.load(rows.index)[:_MEASURED]
    images = open_images(rows.images)
    start = time.perf_counter()
    pixels = images[index]
    decoding = time.perf_counter() - start
    start = time.perf_counter()
    np.ascontiguousarray(pixels[::-1])
    gathering = time.perf_counter() - start
    decode_ms, gather_ms = (1000 * seconds / len(index) for seconds in (decoding, gathering))
    return (
        f"Decoding takes {decode_ms:.2f} ms per image on one core here, against {gather_ms:.4f} ms for a cached image; "
        "a larger --max-disk or more free disk space would make training faster."
    )


@lru_cache(maxsize=2)  # every epoch opens its rows again, and reading a zip's directory takes time
def _opened(path: Path, changed: int) -> StreamedImages:
    content: dict[str, Any] = json.loads(path.read_text(encoding="ascii"))
    kind, place = content["place"]
    target = Target(
        content["size"], content["channels"], content["resize"], tuple(content.get("pixel_range", ()))
    )
    return StreamedImages(_KINDS[kind](Path(place)), content["paths"], target)


_KINDS: dict[str, Any] = {
    "folder": lambda root: LooseFiles(root, name=root.name),
    "zip": ZipFiles,
    "tar": TarFiles,
}


def _describe(files: Files) -> tuple[str, str] | None:
    """Return (kind, absolute path) of files that can be opened again; every process would unpack a compressed tar."""
    if isinstance(files, LooseFiles):
        return "folder", str(files.root.resolve())
    path = Path(files.where).resolve()
    if isinstance(files, ZipFiles):
        return "zip", str(path)
    return ("tar", str(path)) if isinstance(files, TarFiles) and path.suffix.lower() == ".tar" else None
