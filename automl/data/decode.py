"""Decode every picture once, on all cores, straight into one array on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from automl.data.likeness import SIDE, thumbnails
from automl.data.pixels import is_grey, quiet_pillow, to_pixels
from automl.data.scan import Target
from automl.data.sources.base import Source
from automl.errors import DataError

_MOST_ROWS_AT_ONCE = 64


@dataclass
class Decoded:
    """What decoding found out, a row each; a reason is "" for a usable picture, a digest "" if unreadable.

    `thumbs` are as `likeness.thumbnails` makes them.
    """

    reasons: list[str]
    digests: list[str]
    modes: list[str]
    sizes: npt.NDArray[np.int32] = field(repr=False)
    thumbs: npt.NDArray[np.uint8] = field(repr=False)


class Sink(Protocol):
    """What takes decoded rows and gives the last ones back: an array, or something that keeps nothing."""

    def __setitem__(self, row: int, pixels: npt.NDArray[np.uint8], /) -> None: ...

    def __getitem__(self, part: slice, /) -> npt.NDArray[np.uint8]: ...


class ColourFound(Exception):
    """A picture has colour although one channel was planned."""


def decode_all(source: Source, target: Target, images: Sink, progress: Callable[[int, int], None]) -> Decoded:
    """Fill `images`, uint8 (N, img_size, img_size, in_chans), and tell what was found.

    Rows of unusable pictures stay zero.

    Threads, not processes: decoding and resizing leave Python's lock, and starting processes would import the
    caller's script again. `progress(done, total)` is called from this thread. Raises ColourFound if `target`
    has one channel and a picture has colour.
    """
    n = len(source.files)
    thumbs = np.zeros((n, SIDE, SIDE), dtype=np.uint8)
    found = Decoded([""] * n, [""] * n, [""] * n, np.zeros((n, 2), dtype=np.int32), thumbs)

    def work(rows: range) -> int:
        for i in rows:
            _decode_row(source, target, i, images, found)
        part = slice(rows.start, rows.stop)
        found.thumbs[part] = thumbnails(images[part])  # now, while the pixels are in the processor's cache
        return len(rows)

    done = 0
    workers = cores()
    with quiet_pillow(), ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        try:
            for count in _bounded(pool, work, n, workers):
                done += count
                progress(done, n)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return found


def _decode_row(source: Source, target: Target, i: int, images: Sink, found: Decoded) -> None:
    try:
        data = source.read(i)
        found.digests[i] = hashlib.sha256(data).hexdigest()
        image = source.decode(data)
        # Taken now: decoding a JPEG at a fraction of its size changes both.
        mode, size = image.mode, image.size
        pixels = to_pixels(image, size=target.img_size, channels=target.in_chans)
    except DataError as error:
        found.reasons[i] = str(error)
        return
    if target.in_chans == 1 and not is_grey(image):
        raise ColourFound(source.files[i])
    images[i] = pixels
    found.modes[i] = mode
    found.sizes[i] = size


def _bounded(pool: ThreadPoolExecutor, work: Callable[[range], int], n: int, workers: int) -> Iterator[int]:
    """Run `work` over chunks of the rows with a few chunks waiting, so that a failure or Ctrl-C stops it
    soon.
    """
    pending: set[Future[int]] = set()
    # Small enough that a few large photographs occupy all threads, large enough that handing over costs
    # nothing.
    size = max(1, min(_MOST_ROWS_AT_ONCE, n // (8 * workers)))
    for rows in (range(start, min(start + size, n)) for start in range(0, n, size)):
        pending.add(pool.submit(work, rows))
        if len(pending) >= 4 * workers:
            finished, pending = wait(pending, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in finished)
    while pending:
        finished, pending = wait(pending, return_when=FIRST_COMPLETED)
        yield from (future.result() for future in finished)


def cores() -> int:
    """The cores that this process may use, which containers and batch systems limit."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
