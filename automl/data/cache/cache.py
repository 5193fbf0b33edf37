"""The decoded pictures on disk: made once, found again by every later study, mapped into memory by every
process.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.cache.checksums import find_damage, write_checksums
from automl.data.cache.downscale import copy_findings, larger_entry, shrink
from automl.data.cache.eviction import IMAGES, LOCK, META, Hold, NoRoomError, make_room, new_folder, touch
from automl.data.cache.hashes import Digests
from automl.data.cache.streamed_images import STREAM, can_stream, write_stream
from automl.data.decoding.decode import ColourFound, Decoded, decode_all
from automl.data.decoding.image_format import Target
from automl.data.decoding.near_duplicates import alike
from automl.data.sources.base import Source
from automl.errors import DataError
from automl.log import get_logger

_log = get_logger(__name__)

# Part of every key: a change of what is stored, or of how a picture becomes pixels, must not find older
# files.
_VERSION = 5
_SPARE_BYTES = 64 * 2**20
# Modes of Pillow by number, and the reasons of rows that cannot be used.
_WORDS = "words.json"


@dataclass(frozen=True)
class Cached:
    """Decoded pictures. All rows of the source are there; `reasons[i]` is "" for those that can be used.

    `pairs` (m, 2) are rows of nearly equal pictures, and `telling` says whether likeness tells anything about
    these data (see `likeness`). Labels are no part of it, so that studies of other columns of one table share it.
    No other process removes the folder to make room as long as `hold` lives. Where `streamed`, there was no room for
    the pictures: only what was found out about them is there.
    """

    folder: Path
    img_size: int
    in_chans: int
    reasons: tuple[str, ...]
    digests: Digests
    modes: tuple[str, ...]
    sizes: npt.NDArray[np.int32]
    pairs: npt.NDArray[np.int64]
    telling: bool
    was_there: bool
    streamed: bool
    hold: Hold = field(repr=False, compare=False)

    @property
    def images_path(self) -> Path:
        """uint8 (N, img_size, img_size, in_chans), or the list of files to decode; for `stream.open_images`."""
        return self.folder / (STREAM if self.streamed else IMAGES)


Check = Callable[[Cached], None]
Progress = Callable[[int, int], None]
Note = Callable[[str], None]


@dataclass(frozen=True)
class Shelf:
    """Where decoded pictures lie, how many bytes all of them may take there, and who is told what is removed."""

    cache_dir: Path
    max_disk: int | None = None
    note: Note = _log.info


def open_or_build(
    source: Source,
    target: Target,
    *,
    cache_dir: Path,
    check: Check,
    progress: Progress,
    max_disk: int | None = None,
    note: Note = _log.info,
) -> Cached:
    """The decoded pictures of `source` at the size of `target`, from `cache_dir` or made now: from pictures of at
    least twice the size that lie there, else from the files.

    `check` sees the result before anything is kept and may refuse it by raising. A damaged folder is made
    again; a new one appears at once, so that an interrupted run leaves nothing that looks whole. To make room,
    what was not used for the longest time is removed, but nothing that a running study uses; `note` is told. Raises
    NoRoomError if that is not enough for `max_disk` bytes and the disk, unless the pictures can be streamed, and
    DataError if the folder cannot be written.
    """
    shelf = Shelf(cache_dir, max_disk, note)
    plan = _Plan(source, source.state(), target, cache_dir, shelf)
    try:
        return _open(plan, check, progress)
    except NoRoomError as error:
        if not can_stream(source):
            raise
        note(f"Images are decoded again in every epoch: {error}.")
        cached = _open(replace(plan, streamed=True), check, progress)
        # Each time, because the same zip may lie elsewhere now.
        write_stream(cached.images_path, source, size=cached.img_size, channels=cached.in_chans)
        return cached


def _open(plan: _Plan, check: Check, progress: Progress) -> Cached:
    """What lies in the cache, or is put there now."""
    cache_dir, n = plan.shelf.cache_dir, len(plan.source.files)
    folder = cache_dir / plan.key
    found = _read(folder, n, plan.target.img_size, streamed=plan.streamed)
    if found is not None:
        check(found)
        return found
    with _workshop(cache_dir) as building:
        plan = replace(plan, folder=building)
        try:
            built = _derive(plan, progress) or _build(plan, progress)
        except ColourFound as error:
            _log.info("%s has colour: decoding again with three channels", error)
            built = _build(replace(plan, target=Target(plan.target.img_size, 3)), progress)
        check(built)
        _install(building, folder, built)
        installed = _read(folder, n, plan.target.img_size, streamed=plan.streamed)
    if installed is None:
        raise DataError(f"the image cache {str(folder)!r} cannot be read back: choose another folder or disk")
    return replace(installed, was_there=False)


@dataclass(frozen=True)
class _Plan:
    """What is to be made of what, and in which folder; `state` is that of the source."""

    source: Source
    state: str
    target: Target
    folder: Path
    shelf: Shelf
    streamed: bool = False

    @property
    def key(self) -> str:
        """The name of the folder in the cache."""
        kind = "streamed" if self.streamed else ""
        return hashlib.sha256(f"{_VERSION}\0{self.state}\0{self.target.img_size}{kind}".encode()).hexdigest()[
            :32
        ]


def _derive(plan: _Plan, progress: Progress) -> Cached | None:
    """The pictures from larger ones in the cache; None where there are none, or damaged ones."""
    n, size = len(plan.source.files), plan.target.img_size
    if plan.streamed:
        return None
    found = larger_entry(plan.shelf.cache_dir, version=_VERSION, state=plan.state, img_size=size)
    larger = _read(found[0], n, found[1]) if found is not None else None
    if larger is None:
        return None
    start = time.perf_counter()
    images = _new_images(plan, larger.in_chans)
    shrink(np.load(larger.images_path, mmap_mode="r"), images, progress)
    images.flush()
    copy_findings(larger.folder, plan.folder)
    meta = json.loads((larger.folder / META).read_text(encoding="utf-8"))
    seconds = round(time.perf_counter() - start, 3)
    return _finished(plan, {**meta, "img_size": size, "seconds": seconds})


def _build(plan: _Plan, progress: Progress) -> Cached:
    start = time.perf_counter()
    source, target, folder = plan.source, plan.target, plan.folder
    images = None if plan.streamed else _new_images(plan, target.in_chans)
    decoded = decode_all(source, target, images, progress, folder=folder)
    digests = Digests(decoded.findings.digests)
    usable = digests.known()
    usable[list(decoded.reasons)] = False
    pairs, telling = alike(decoded.findings.thumbs, digests.distinct(usable))
    np.save(folder / "pairs.npy", pairs)
    _write_findings(folder, digests, decoded)
    meta = {
        "version": _VERSION,
        "state": plan.state,
        "n": len(source.files),
        "img_size": target.img_size,
        "in_chans": target.in_chans,
        "telling": telling,
        "streamed": plan.streamed,
        "seconds": round(time.perf_counter() - start, 3),
    }
    return _finished(plan, meta)


def _new_images(plan: _Plan, channels: int) -> np.memmap[Any, np.dtype[np.uint8]]:
    """A file for the pixels, after room was made for it."""
    size = plan.target.img_size
    shape = (len(plan.source.files), size, size, channels)
    # A mapped file on a full disk does not fail with an error, it kills the process.
    needed = int(np.prod(shape, dtype=np.int64))
    shelf = plan.shelf
    gone = make_room(shelf.cache_dir, needed, allowed=shelf.max_disk, spare=_SPARE_BYTES)
    if gone:
        sets = "1 set of decoded images" if len(gone) == 1 else f"{len(gone)} sets of decoded images"
        total = sum(entry.size for entry in gone)
        shelf.note(
            f"{sets} ({total / 1e9:.2f} GB) that no running study uses removed from the cache to make room."
        )
    return np.lib.format.open_memmap(plan.folder / IMAGES, mode="w+", dtype=np.uint8, shape=shape)


def _finished(plan: _Plan, meta: dict[str, Any]) -> Cached:
    """The folder with its last two files, read back."""
    (plan.folder / META).write_text(json.dumps(meta, indent=1, ensure_ascii=False), encoding="utf-8")
    write_checksums(plan.folder)
    built = _read(plan.folder, meta["n"], meta["img_size"], streamed=plan.streamed)
    if built is None:
        raise DataError(
            f"the image cache {str(plan.folder)!r} cannot be read back: choose another folder or disk"
        )
    return built


def _write_findings(folder: Path, digests: Digests, decoded: Decoded) -> None:
    """What was found out about the files, as arrays and a few words."""
    (folder / "thumbs.npy").unlink(missing_ok=True)
    names = sorted(set(decoded.modes))
    number = {name: k for k, name in enumerate(names)}
    np.save(folder / "modes.npy", np.array([number[mode] for mode in decoded.modes], dtype=np.uint8))
    if not isinstance(decoded.findings.sizes, np.memmap):  # else processes have written them to their place
        np.save(folder / "digests.npy", digests.octets)
        np.save(folder / "sizes.npy", decoded.findings.sizes)
    words = {"modes": names, "reasons": decoded.reasons}
    (folder / _WORDS).write_text(json.dumps(words), encoding="utf-8")


def _read(folder: Path, n: int, img_size: int, *, streamed: bool = False) -> Cached | None:
    """What lies in `folder`; None if it is missing, incomplete, damaged or made for something else."""
    if not folder.is_dir():
        return None
    hold = Hold(folder)
    try:
        if damage := find_damage(folder):
            raise ValueError(damage)
        meta: dict[str, Any] = json.loads((folder / META).read_text(encoding="utf-8"))
        found = (meta["version"], meta["n"], meta["img_size"], meta["streamed"])
        if found != (_VERSION, n, img_size, streamed):
            return None
        words: dict[str, Any] = json.loads((folder / _WORDS).read_text(encoding="utf-8"))
        digests, sizes, pairs = (np.load(folder / f"{name}.npy") for name in ("digests", "sizes", "pairs"))
        modes = np.load(folder / "modes.npy").tolist()
        shape = (n, img_size, img_size, meta["in_chans"])
        if len(digests) != n or not (streamed or _holds(folder / IMAGES, shape)):
            return None
        touch(folder)
        return Cached(
            folder=folder,
            img_size=img_size,
            in_chans=meta["in_chans"],
            reasons=_reasons(n, words["reasons"]),
            digests=Digests(digests),
            modes=tuple(words["modes"][k] for k in modes),
            sizes=sizes,
            pairs=pairs,
            telling=bool(meta["telling"]),
            was_there=True,
            streamed=streamed,
            hold=hold,
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError) as error:
        _log.info("the image cache %s is damaged and made again (%s)", folder, error)
        return None


def _holds(path: Path, shape: tuple[int, ...]) -> bool:
    images = np.load(path, mmap_mode="r")
    return bool(images.shape == shape and images.dtype == np.uint8)


def _reasons(n: int, found: dict[str, str]) -> tuple[str, ...]:
    reasons = [""] * n
    for row, reason in found.items():
        reasons[int(row)] = reason
    return tuple(reasons)


@contextlib.contextmanager
def _workshop(cache_dir: Path) -> Iterator[Path]:
    """A new folder beside the finished ones, gone afterwards, and so are parents that stay empty."""
    made = [folder for folder in (cache_dir, *cache_dir.parents) if not folder.exists()]
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        building = new_folder(cache_dir, "building")
        building.mkdir()
        (building / LOCK).touch()
    except OSError as error:
        raise DataError(
            f"the image cache must be writable, but {str(cache_dir)!r} is not ({error.strerror}): choose "
            "another folder"
        ) from error
    hold = Hold(building)
    try:
        yield building
    finally:
        hold.release()
        shutil.rmtree(building, ignore_errors=True)
        for folder in made:
            with contextlib.suppress(OSError):  # not empty: something was kept in it
                folder.rmdir()


def _install(building: Path, folder: Path, built: Cached) -> None:
    """Move a finished folder to its place, unless another process was first with a whole one."""
    if _read(folder, len(built.reasons), built.img_size, streamed=built.streamed) is not None:
        return
    for attempt in (1, 2):
        try:
            building.replace(folder)
            return
        except OSError as error:
            if _read(folder, len(built.reasons), built.img_size, streamed=built.streamed) is not None:
                return
            if attempt == 2:
                raise DataError(
                    f"the image cache {str(folder)!r} cannot be written ({error.strerror})"
                ) from error
            shutil.rmtree(folder, ignore_errors=True)
