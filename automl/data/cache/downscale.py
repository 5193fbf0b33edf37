"""Scale cached images down, so that a second image size needs no second decoding."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from automl.data.cache.checksums import CHECKSUMS
from automl.data.cache.eviction import IMAGES, META, entries
from automl.data.constants import DOWNSCALE_FROM
from automl.data.decoding.image_format import Target
from automl.documents.json_file import read_object
from automl.machine import cores

_ROWS_AT_ONCE = 64


def larger_entry(cache_dir: Path, target: Target, *, version: int, state: str) -> tuple[Path, int] | None:
    """Return (folder, image size) of the smallest entry with the same images as `target`, at least twice as large."""
    found: list[tuple[Path, int]] = []
    for entry in entries(cache_dir):
        meta = read_object(entry.folder / META)
        known = (meta.get("version"), meta.get("state"), meta.get("streamed"), meta.get("resize", "crop"))
        alike = meta.get("pixel_range", []) == list(target.pixel_range)
        size = meta.get("img_size")
        size = size if isinstance(size, int) else 0
        if (
            size >= DOWNSCALE_FROM * target.img_size
            and alike
            and known == (version, state, False, target.resize)
        ):
            found.append((entry.folder, size))
    return min(found, key=lambda item: item[1], default=None)


def shrink(
    larger: npt.NDArray[np.uint8], smaller: npt.NDArray[np.uint8], progress: Callable[[int, int], None]
) -> None:
    """Fill `smaller`, uint8 (N, s, s, C), from `larger`, uint8 (N, S, S, C), with the filter that decoding uses.

    Threads share the work, as resizing releases Python's lock; `progress(done, total)` is called from this one.
    """
    n = len(larger)

    def work(start: int) -> int:
        stop = min(start + _ROWS_AT_ONCE, n)
        for i in range(start, stop):
            smaller[i] = _resized(larger[i], smaller.shape[1])
        return stop

    with ThreadPoolExecutor(cores(), thread_name_prefix="shrink") as pool:
        for done in pool.map(work, range(0, n, _ROWS_AT_ONCE)):
            progress(done, n)


def copy_findings(larger: Path, folder: Path) -> None:
    """Copy the findings about the files, which are the same at every size."""
    for path in sorted(larger.iterdir()):
        if path.suffix in (".json", ".npy") and path.name not in (IMAGES, META, CHECKSUMS):
            shutil.copyfile(path, folder / path.name)


def _resized(pixels: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    resized = image.resize((size, size), Image.Resampling.HAMMING)
    return np.asarray(resized, dtype=np.uint8).reshape(size, size, pixels.shape[2])
