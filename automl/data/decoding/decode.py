"""Decode every image once, on all cores, into one array on disk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from automl.data.constants import POOL_FROM
from automl.data.decoding import process_pool
from automl.data.decoding.convert import ColourFound, Conversion, Converted, Findings
from automl.data.decoding.image_format import Target
from automl.data.decoding.pool_worker import WorkerSetup
from automl.data.decoding.process_pool import Part
from automl.data.pixels import quiet_pillow
from automl.data.readers import ReaderSpec
from automl.data.sources.base import Source
from automl.data.sources.part import whole_source
from automl.log import get_logger
from automl.machine import Moment, cores

__all__ = ["ColourFound", "Decoded", "cores", "decode_all"]
_log = get_logger(__name__)

_MOST_ROWS = 256
_MOST_BYTES = 2**21
_TIMED_ROWS = 16  # few: what was begun when the time ends is finished


@dataclass(frozen=True)
class DecodingTime:
    """Decoding ends at the moment `until`, but not before `least` rows.

    `order` holds all rows, so that those before the end are a fair sample (`fair_order`).
    """

    until: Moment
    order: npt.NDArray[np.int64]
    least: int

    def parts(self) -> Iterator[list[int]]:
        """Yield parts of the order until the time ends."""
        for start in range(0, len(self.order), _TIMED_ROWS):
            if start >= self.least and self.until.passed():
                return
            yield self.order[start : start + _TIMED_ROWS].tolist()


@dataclass(frozen=True)
class Decoded:
    """The result of decoding: `reasons` of the rows that cannot be used, and the mode of each ("" for those).

    `rows` are those that were decoded, in order; None if all were.
    """

    reasons: dict[int, str]
    modes: list[str]
    findings: Findings = field(repr=False)
    rows: npt.NDArray[np.int64] | None = field(default=None, repr=False)


Work = Generator[tuple[Part, Converted], None, None]
Progress = Callable[[int, int], None]
Images = npt.NDArray[np.uint8]


def decode_all(
    source: Source,
    target: Target,
    images: Images | None,
    progress: Progress,
    *,
    folder: Path | None = None,
    time: DecodingTime | None = None,
) -> Decoded:
    """Fill `images`, uint8 (N, img_size, img_size, in_chans), unless it is None, and return what was found.

    Rows of unusable images stay zero. Processes share the work if they can read the images, if `images` is mapped from
    a file and if `folder` is given for the files of their findings; otherwise threads do. `progress(done, total)` is
    called from this thread. `time` may end it early. Raises ColourFound if `target` has one channel and an image has
    colour.
    """
    n = len(source.files)
    parts: Iterable[Part] = _parts(n, target) if time is None else time.parts()
    spec = _reader_spec(source, images) if folder is not None else None
    if folder is not None and spec is not None:
        findings = Findings.new(n, folder)
        setup = WorkerSetup(
            kind=spec.kind,
            path=spec.path,
            size=target.img_size,
            channels=target.in_chans,
            images=str(images.filename) if isinstance(images, np.memmap) else None,
            folder=str(folder),
            resize=target.resize,
            pixel_range=target.pixel_range,
        )
        try:
            return _collect(source, findings, process_pool.convert_all(setup, spec, parts), progress)
        except process_pool.PoolUnavailableError as error:
            _log.info("decoding with threads, as processes do not start (%s)", error)
    findings = Findings.new(n)
    is_file = type(whole_source(source)).decode is Source.decode
    conversion = Conversion(
        read=source.read,
        size=target.img_size,
        channels=target.in_chans,
        images=images,
        findings=findings,
        decode=None if is_file else source.decode,
        resize=target.resize,
        pixel_range=target.pixel_range,
    )
    return _collect(source, findings, _by_threads(conversion, parts), progress)


def _collect(source: Source, findings: Findings, work: Work, progress: Progress) -> Decoded:
    n, done = len(source.files), 0
    reasons: dict[int, str] = {}
    modes = [""] * n
    decoded = np.zeros(n, dtype=np.bool_)
    try:
        with closing(work):
            for rows, converted in work:
                reasons.update(converted.reasons)
                for row, mode in zip(rows, converted.modes, strict=True):
                    modes[row] = sys.intern(mode)
                decoded[np.asarray(rows)] = True
                done += len(rows)
                progress(done, n)
    except ColourFound as error:
        raise ColourFound(source.files[error.args[0]]) from None
    found = None if decoded.all() else np.flatnonzero(decoded)
    return Decoded(dict(sorted(reasons.items())), modes, findings, found)


def _parts(n: int, target: Target) -> list[range]:
    """Divide the rows: into parts small enough that a few large images occupy all cores."""
    row = target.img_size**2 * target.in_chans
    most = max(1, min(_MOST_ROWS, _MOST_BYTES // row, n // (8 * cores())))
    return [range(start, min(start + most, n)) for start in range(0, n, most)]


def _reader_spec(source: Source, images: Images | None) -> ReaderSpec | None:
    """Return how processes read the images; None where threads have to decode."""
    if len(source.files) < POOL_FROM or not process_pool.can_start():
        return None
    stored = source.stored() if images is None or isinstance(images, np.memmap) else None
    return None if stored is None else stored[0].reader_spec(stored[1])


def _by_threads(conversion: Conversion, parts: Iterable[Part]) -> Work:
    """Convert the parts; few are queued at a time, so that a failure or Ctrl-C stops it soon."""
    workers = cores()
    pending: dict[Future[Converted], Part] = {}
    with quiet_pillow(), ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        try:
            for rows in parts:
                pending[pool.submit(conversion.convert, rows)] = rows
                if len(pending) >= 4 * workers:
                    yield from _finished(pending)
            while pending:
                yield from _finished(pending)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _finished(pending: dict[Future[Converted], Part]) -> Work:
    finished, _ = wait(pending, return_when=FIRST_COMPLETED)
    for future in finished:
        yield pending.pop(future), future.result()
