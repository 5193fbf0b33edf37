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
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.decode import ColourFound, Decoded, decode_all
from automl.data.scan import Target
from automl.data.sources.base import Source
from automl.errors import DataError
from automl.log import get_logger

_log = get_logger(__name__)

# Part of every key: a change of what is stored, or of how a picture becomes pixels, must not find older
# files.
_VERSION = 1
_SPARE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Cached:
    """A decoded data set. All rows of the source are there; `reasons[i]` is "" for those that can be used.

    `targets` (int64, N) count the classes that have a usable picture, in `classes`; unusable rows have -1.
    """

    folder: Path
    img_size: int
    in_chans: int
    classes: tuple[str, ...]
    fingerprint: str
    reasons: tuple[str, ...]
    digests: tuple[str, ...]
    modes: tuple[str, ...]
    sizes: npt.NDArray[np.int32]
    targets: npt.NDArray[np.int64]
    was_there: bool

    @property
    def images_path(self) -> Path:
        """uint8 (N, img_size, img_size, in_chans)."""
        return self.folder / "images.npy"

    @property
    def targets_path(self) -> Path:
        """int64 (N,)."""
        return self.folder / "targets.npy"


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
    usable = np.array([not reason for reason in decoded.reasons], dtype=bool)
    present = np.unique(source.labels[usable])
    renumber = np.full(len(source.classes), -1, dtype=np.int64)
    renumber[present] = np.arange(len(present))
    targets = np.where(usable, renumber[source.labels], -1)
    np.save(folder / "targets.npy", targets)
    _write_files(folder / "files.csv", source, decoded)
    meta = {
        "version": _VERSION,
        "n": n,
        "img_size": size,
        "in_chans": target.in_chans,
        "classes": [source.classes[i] for i in present],
        "fingerprint": source.content(decoded.digests),
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
        writer.writerow(("file", "sha256", "mode", "width", "height", "problem"))
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
            rows = list(csv.DictReader(file))
        images = np.load(folder / "images.npy", mmap_mode="r")
        targets = np.load(folder / "targets.npy")
        whole = images.shape == (n, img_size, img_size, meta["in_chans"]) and len(rows) == n == len(targets)
        if not whole or images.dtype != np.uint8:
            return None
        return Cached(
            folder=folder,
            img_size=img_size,
            in_chans=meta["in_chans"],
            classes=tuple(meta["classes"]),
            fingerprint=meta["fingerprint"],
            reasons=tuple(row["problem"] for row in rows),
            digests=tuple(row["sha256"] for row in rows),
            modes=tuple(row["mode"] for row in rows),
            sizes=np.array([(row["width"], row["height"]) for row in rows], dtype=np.int32),
            targets=targets,
            was_there=True,
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        if folder.exists():
            _log.info("the image cache %s is damaged and made again (%s)", folder, error)
        return None


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
