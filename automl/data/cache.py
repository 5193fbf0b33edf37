"""The decoded pictures on disk: made once, found again by every later study, mapped into memory by every
process.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import shutil
import sys
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.decode import ColourFound, Decoded, decode_all
from automl.data.likeness import alike
from automl.data.scan import Target
from automl.data.sources.base import Source
from automl.errors import DataError
from automl.log import get_logger

_log = get_logger(__name__)

# Part of every key: a change of what is stored, or of how a picture becomes pixels, must not find older
# files.
_VERSION = 4
_SPARE_BYTES = 64 * 2**20
_HEADER = ("file", "sha256", "mode", "width", "height", "problem")


@dataclass(frozen=True)
class Cached:
    """Decoded pictures. All rows of the source are there; `reasons[i]` is "" for those that can be used.

    `pairs` (m, 2) are rows of nearly equal pictures, and `telling` says whether likeness tells anything about
    these data (see `likeness`). Labels are no part of it, so that studies of other columns of one table share it.
    """

    folder: Path
    img_size: int
    in_chans: int
    reasons: tuple[str, ...]
    digests: tuple[str, ...]
    modes: tuple[str, ...]
    sizes: npt.NDArray[np.int32]
    pairs: npt.NDArray[np.int64]
    telling: bool
    was_there: bool

    @property
    def images_path(self) -> Path:
        """uint8 (N, img_size, img_size, in_chans)."""
        return self.folder / "images.npy"


def default_cache_dir() -> Path:
    """Where decoded images lie, shared by all studies of a person: AUTOML_CACHE_DIR, or the user's cache folder."""
    base = os.environ.get("AUTOML_CACHE_DIR")
    if base:
        return Path(base)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "automl"


Check = Callable[[Cached], None]
Progress = Callable[[int, int], None]


def open_or_build(
    source: Source, target: Target, *, cache_dir: Path, check: Check, progress: Progress
) -> Cached:
    """The decoded pictures of `source` at the size of `target`, from `cache_dir` or decoded now.

    `check` sees the result before anything is kept and may refuse it by raising. A damaged folder is made
    again; a new one appears at once, so that an interrupted run leaves nothing that looks whole. Raises
    DataError if the disk is too small or `cache_dir` cannot be written.
    """
    key = hashlib.sha256(f"{_VERSION}\0{source.state()}\0{target.img_size}".encode()).hexdigest()[:32]
    folder = cache_dir / key
    found = _read(folder, len(source.files), target.img_size)
    if found is not None:
        check(found)
        return found
    with _workshop(cache_dir) as building:
        try:
            built = _build(source, target, building, progress)
        except ColourFound as error:
            _log.info("%s has colour: decoding again with three channels", error)
            built = _build(source, Target(target.img_size, 3), building, progress)
        check(built)
        _install(building, folder, built)
    installed = _read(folder, len(source.files), target.img_size)
    if installed is None:
        raise DataError(f"the image cache {str(folder)!r} cannot be read back: choose another folder or disk")
    return replace(installed, was_there=False)


def _build(source: Source, target: Target, folder: Path, progress: Progress) -> Cached:
    start = time.perf_counter()
    n, size = len(source.files), target.img_size
    shape = (n, size, size, target.in_chans)
    _require_room(folder, int(np.prod(shape, dtype=np.int64)))
    images = np.lib.format.open_memmap(folder / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
    decoded = decode_all(source, target, images, progress)
    images.flush()
    del images
    usable = zip(decoded.digests, decoded.reasons, strict=True)
    pairs, telling = alike(decoded.thumbs, ["" if reason else digest for digest, reason in usable])
    np.save(folder / "pairs.npy", pairs)
    _write_files(folder / "files.csv", source, decoded)
    meta = {
        "version": _VERSION,
        "n": n,
        "img_size": size,
        "in_chans": target.in_chans,
        "telling": telling,
        "seconds": round(time.perf_counter() - start, 3),
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1, ensure_ascii=False), encoding="utf-8")
    built = _read(folder, n, size)
    if built is None:
        raise DataError(f"the image cache {str(folder)!r} cannot be read back: choose another folder or disk")
    return built


def _write_files(path: Path, source: Source, decoded: Decoded) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_HEADER)
        rows = zip(
            source.files, decoded.digests, decoded.modes, decoded.sizes.tolist(), decoded.reasons, strict=True
        )
        for name, digest, mode, (width, height), reason in rows:
            writer.writerow((name, digest, mode, width, height, reason))


def _read(folder: Path, n: int, img_size: int) -> Cached | None:
    """What lies in `folder`; None if it is missing, incomplete, damaged or made for something else."""
    try:
        meta: dict[str, Any] = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        if (meta["version"], meta["n"], meta["img_size"]) != (_VERSION, n, img_size):
            return None
        with (folder / "files.csv").open(newline="", encoding="utf-8") as file:
            digests, modes, sizes, reasons = _columns(file)
        images = np.load(folder / "images.npy", mmap_mode="r")
        pairs = np.load(folder / "pairs.npy")
        whole = images.shape == (n, img_size, img_size, meta["in_chans"]) and len(digests) == n
        if not whole or images.dtype != np.uint8:
            return None
        return Cached(
            folder=folder,
            img_size=img_size,
            in_chans=meta["in_chans"],
            reasons=reasons,
            digests=digests,
            modes=modes,
            sizes=sizes,
            pairs=pairs,
            telling=bool(meta["telling"]),
            was_there=True,
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        if folder.exists():
            _log.info("the image cache %s is damaged and made again (%s)", folder, error)
        return None


def _columns(
    file: Iterable[str],
) -> tuple[tuple[str, ...], tuple[str, ...], npt.NDArray[np.int32], tuple[str, ...]]:
    """Digests, modes, sizes (n, 2) and problems in files.csv. Raises ValueError for rows of another length."""
    rows = csv.reader(file)
    if next(rows, None) != list(_HEADER):
        raise ValueError("another header")
    digests, modes, sizes, reasons = [], [], array("i"), []
    for _, digest, mode, width, height, reason in rows:
        digests.append(digest)
        modes.append(sys.intern(mode))
        sizes.extend((int(width), int(height)))
        reasons.append(reason)
    return tuple(digests), tuple(modes), np.array(sizes, dtype=np.int32).reshape(-1, 2), tuple(reasons)


@contextlib.contextmanager
def _workshop(cache_dir: Path) -> Iterator[Path]:
    """A new folder beside the finished ones, gone afterwards, and so are parents that stay empty."""
    made = [folder for folder in (cache_dir, *cache_dir.parents) if not folder.exists()]
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        # Not tempfile's, which lets only its maker in: the cache is shared like any other folder.
        building = cache_dir / f"building-{os.getpid()}-{time.time_ns()}"
        building.mkdir()
    except OSError as error:
        raise DataError(
            f"the image cache must be writable, but {str(cache_dir)!r} is not ({error.strerror}): choose "
            "another folder"
        ) from error
    try:
        yield building
    finally:
        shutil.rmtree(building, ignore_errors=True)
        for folder in made:
            with contextlib.suppress(OSError):  # not empty: something was kept in it
                folder.rmdir()


def _install(building: Path, folder: Path, built: Cached) -> None:
    """Move a finished folder to its place, unless another process was first with a whole one."""
    if _read(folder, len(built.reasons), built.img_size) is not None:
        return
    for attempt in (1, 2):
        try:
            building.replace(folder)
            return
        except OSError as error:
            if _read(folder, len(built.reasons), built.img_size) is not None:
                return
            if attempt == 2:
                raise DataError(
                    f"the image cache {str(folder)!r} cannot be written ({error.strerror})"
                ) from error
            shutil.rmtree(folder, ignore_errors=True)


def _require_room(folder: Path, needed: int) -> None:
    # A mapped file on a full disk does not fail with an error, it kills the process.
    free = shutil.disk_usage(folder).free
    if needed + _SPARE_BYTES > free:
        raise DataError(
            f"the decoded images need {needed / 1e9:.1f} GB in {str(folder.parent)!r}, but {free / 1e9:.1f} "
            "GB are free: free space, choose another folder or a smaller image size"
        )
