"""Decode every picture once, on all cores, straight into one array on disk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.decoding import process_pool as crew
from automl.data.decoding.convert import DIGEST, ColourFound, Conversion, Findings, Told, new_findings
from automl.data.decoding.image_format import Target
from automl.data.decoding.near_duplicates import SIDE
from automl.data.decoding.pool_worker import Errand
from automl.data.pixels import quiet_pillow
from automl.data.readers import Place
from automl.data.sources.base import Source
from automl.log import get_logger
from automl.machine import cores

__all__ = ["ColourFound", "Decoded", "cores", "decode_all"]
_log = get_logger(__name__)

# Up to here threads are done before processes have started.
FEW = 500
_MOST_ROWS_AT_ONCE = 256
_BYTES_AT_ONCE = 2**21


@dataclass(frozen=True)
class Decoded:
    """What decoding found out: `reasons` of the rows that cannot be used, and a mode each ("" for those)."""

    reasons: dict[int, str]
    modes: list[str]
    findings: Findings = field(repr=False)


Work = Generator[tuple[range, Told], None, None]
Progress = Callable[[int, int], None]
Images = npt.NDArray[np.uint8]


def decode_all(
    source: Source, target: Target, images: Images | None, progress: Progress, *, folder: Path | None = None
) -> Decoded:
    """Fill `images`, uint8 (N, img_size, img_size, in_chans), if there are any, and tell what was found.

    Rows of unusable pictures stay zero. Processes share the work where `folder` is given for what they find out, the
    images are mapped from a file, and the pictures lie in files that can be opened again; threads elsewhere.
    `progress(done, total)` is called from this thread. Raises ColourFound if `target` has one channel and a
    picture has colour.
    """
    n = len(source.files)
    parts = _parts(n, target)
    place = _place(source, images) if folder is not None else None
    if folder is not None and place is not None:
        findings = _mapped_findings(folder, n)
        work = _by_processes(place, target, images, folder, parts)
        try:
            return _collect(source, findings, work, progress)
        except crew.NoCrewError as error:
            _log.info("decoding with threads, as processes do not start (%s)", error)
    findings = new_findings(n)
    plain = type(source).decode is Source.decode
    conversion = Conversion(
        read=source.read,
        size=target.img_size,
        channels=target.in_chans,
        images=images,
        findings=findings,
        decode=None if plain else source.decode,
    )
    return _collect(source, findings, _by_threads(conversion, parts), progress)


def _collect(source: Source, findings: Findings, work: Work, progress: Progress) -> Decoded:
    n, done = len(source.files), 0
    reasons: dict[int, str] = {}
    modes = [""] * n
    try:
        with closing(work):
            for rows, told in work:
                reasons.update(told.reasons)
                modes[rows.start : rows.stop] = map(sys.intern, told.modes)
                done += len(rows)
                progress(done, n)
    except ColourFound as error:
        raise ColourFound(source.files[error.args[0]]) from None
    return Decoded(dict(sorted(reasons.items())), modes, findings)


def _parts(n: int, target: Target) -> list[range]:
    """Chunks of rows: small enough that a few large photographs occupy all cores, large enough that handing over
    costs nothing.
    """
    row = target.img_size**2 * target.in_chans
    most = max(1, min(_MOST_ROWS_AT_ONCE, _BYTES_AT_ONCE // row, n // (8 * cores())))
    return [range(start, min(start + most, n)) for start in range(0, n, most)]


def _place(source: Source, images: Images | None) -> Place | None:
    """Where processes find the pictures; None where threads have to do."""
    if len(source.files) < FEW or not crew.can_start():
        return None
    stored = source.stored() if images is None or isinstance(images, np.memmap) else None
    return None if stored is None else stored[0].place_of(stored[1])


def _mapped_findings(folder: Path, n: int) -> Findings:
    def new(name: str, dtype: type[np.generic], *shape: int) -> Any:
        return np.lib.format.open_memmap(folder / name, mode="w+", dtype=np.dtype(dtype), shape=(n, *shape))

    return Findings(
        new("digests.npy", np.uint8, DIGEST),
        new("sizes.npy", np.int32, 2),
        new("thumbs.npy", np.uint8, SIDE, SIDE),
    )


def _by_processes(
    place: Place, target: Target, images: Images | None, folder: Path, parts: Sequence[range]
) -> Work:
    errand = Errand(
        kind=place.kind,
        path=place.path,
        size=target.img_size,
        channels=target.in_chans,
        images=str(images.filename) if isinstance(images, np.memmap) else None,
        digests=str(folder / "digests.npy"),
        sizes=str(folder / "sizes.npy"),
        thumbs=str(folder / "thumbs.npy"),
    )
    return crew.convert_all(errand, place, parts)


def _by_threads(conversion: Conversion, parts: Sequence[range]) -> Work:
    """Convert the parts with a few of them waiting, so that a failure or Ctrl-C stops it soon."""
    workers = cores()
    pending: dict[Future[Told], range] = {}
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


def _finished(pending: dict[Future[Told], range]) -> Work:
    finished, _ = wait(pending, return_when=FIRST_COMPLETED)
    for future in finished:
        yield pending.pop(future), future.result()
