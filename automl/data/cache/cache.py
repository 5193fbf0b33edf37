"""The decoded images on disk: made once, reused by later studies, mapped into memory by every process."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.cache.checksums import find_damage, write_checksums
from automl.data.cache.downscale import copy_findings, larger_entry, shrink
from automl.data.cache.eviction import IMAGES, LOCK, META, Hold, NoRoomError, make_room, new_folder, touch
from automl.data.cache.hashes import Digests
from automl.data.cache.stored_findings import read_findings, read_words, write_findings
from automl.data.cache.streamed_images import STREAM, can_stream, write_stream
from automl.data.decoding.convert import Findings
from automl.data.decoding.decode import ColourFound, Decoded, DecodingTime, decode_all
from automl.data.decoding.image_format import Target
from automl.data.decoding.near_duplicates import near_duplicates
from automl.data.decoding.pixel_range import PixelRange
from automl.data.sources.base import Source
from automl.data.sources.part import SourcePart
from automl.documents.array_file import read_array
from automl.documents.json_file import read_json
from automl.errors import DataError
from automl.log import get_logger
from automl.records import Resize

_log = get_logger(__name__)

# Part of every key: a change of what is stored, or of how images become pixels, must not find older entries.
_VERSION = 5
_SPARE_BYTES = 64 * 2**20
_ROWS_AT_ONCE = 256
_TRIED_AGAIN = 32  # images that could not be read
# The key of `Cached.informative` in meta.json.
_INFORMATIVE = "telling"


@dataclass(frozen=True)
class Cached:
    """Decoded images. All rows of the source are there; `reasons[i]` is "" for those that can be used.

    `pairs` (m, 2) are rows of nearly equal images, and `informative` says whether similarity means anything in these
    data (see `near_duplicates`). Labels are not included, so studies of other columns of a table share the entry. No
    process evicts the folder while `hold` exists. If `streamed`, there was no room for the pixels: the entry holds only
    what was found out about the images. `rows` are set if the time ended before all were decoded: the entry is
    then that of `SourcePart(source, rows)`.
    """

    folder: Path
    img_size: int
    in_chans: int
    reasons: tuple[str, ...]
    digests: Digests
    modes: tuple[str, ...]
    sizes: npt.NDArray[np.int32]
    pairs: npt.NDArray[np.int64]
    informative: bool
    was_there: bool
    streamed: bool
    hold: Hold = field(repr=False, compare=False)
    rows: npt.NDArray[np.int64] | None = field(default=None, repr=False, compare=False)
    resize: Resize = "crop"
    pixel_range: PixelRange = ()

    @property
    def images_path(self) -> Path:
        """The pixels, uint8 (N, img_size, img_size, in_chans), or the list of files; for `open_images`."""
        return self.folder / (STREAM if self.streamed else IMAGES)


Check = Callable[[Cached], None]
Progress = Callable[[int, int], None]
Note = Callable[[str], None]


@dataclass(frozen=True)
class _Plan:
    """The entry to make, and the folder in which it is built; `state` is that of the source."""

    source: Source
    state: str
    target: Target
    cache_dir: Path
    max_disk: int | None
    note: Note
    time: DecodingTime | None = None
    streamed: bool = False
    building: Path = Path()

    @property
    def folder(self) -> Path:
        """The folder of the finished entry."""
        kind = ("streamed" if self.streamed else "") + (
            "" if self.target.resize == "crop" else self.target.resize
        )
        kind += "".join(f"\0{value!r}" for value in self.target.pixel_range)
        key = f"{_VERSION}\0{self.state}\0{self.target.img_size}{kind}"
        return self.cache_dir / hashlib.sha256(key.encode()).hexdigest()[:32]

    def read(self, folder: Path) -> Cached | None:
        """Read this entry from a folder; None as for `_read`."""
        return _read(folder, len(self.source.files), self.target.img_size, streamed=self.streamed)

    def read_back(self, folder: Path) -> Cached:
        """Read what was just written. Raises DataError if that is not possible."""
        found = self.read(folder)
        if found is None:
            raise DataError(
                f"the image cache {str(folder)!r} cannot be read back: choose another folder or disk"
            )
        return found


def open_or_build(
    source: Source,
    target: Target,
    *,
    cache_dir: Path,
    check: Check,
    progress: Progress,
    max_disk: int | None = None,
    note: Note = _log.info,
    time: DecodingTime | None = None,
) -> Cached:
    """Return the decoded images of `source` at the size of `target`, from `cache_dir` or made now.

    They are made from cached images of at least twice the size if there are any, else from the files. `check` sees the
    result before it is kept and may refuse it by raising. A damaged entry is made again. A new entry appears at once,
    so an interrupted run leaves no incomplete one. Entries that no running study uses are evicted if room is needed,
    the least recently used first, and `note` says so. Raises NoRoomError if that is not enough for `max_disk` bytes and
    the disk, unless the images can be streamed, and DataError if the folder cannot be written. `time` may end decoding
    early: then the entry has `rows`, and the whole one is made by a later call.
    """
    plan = _Plan(source, source.state(), target, cache_dir, max_disk, note, time)
    try:
        return _open(plan, check, progress)
    except NoRoomError as error:
        if not can_stream(source):
            raise
        note(f"Images are decoded again in every epoch: {error}.")
        cached = _open(replace(plan, streamed=True), check, progress)
        # Written every time, as the same zip may have moved.
        part = source if cached.rows is None else SourcePart(source, cached.rows)
        write_stream(cached.images_path, part, replace(target, in_chans=cached.in_chans))
        return cached


def _open(plan: _Plan, check: Check, progress: Progress) -> Cached:
    found = _usable(plan)
    if found is not None:
        check(found)
        return found
    with _building_folder(plan.cache_dir) as building:
        plan = replace(plan, building=building)
        try:
            larger = _from_larger(plan, progress)
            plan, built = _build(plan, progress) if larger is None else (plan, larger)
        except ColourFound as error:
            _log.info("%s has colour: decoding again with three channels", error)
            plan, built = _build(replace(plan, target=replace(plan.target, in_chans=3)), progress)
        check(built)
        _install(plan)
        return replace(plan.read_back(plan.folder), was_there=False, rows=built.rows)


def _usable(plan: _Plan) -> Cached | None:
    """Return the finished entry, unless an image that could not be read for it can be read now."""
    found = plan.read(plan.folder)
    return None if found is None or _readable_now(plan.source, found) else found


def _readable_now(source: Source, found: Cached) -> bool:
    """Return whether an image that could not be read when it was decoded can be read now: its rights may change."""
    for row in np.flatnonzero(~found.digests.known())[:_TRIED_AGAIN].tolist():
        try:
            source.read(row)
        except DataError:
            continue
        _log.info("%s can be read now: the images are decoded again", source.files[row])
        return True
    return False


def _from_larger(plan: _Plan, progress: Progress) -> Cached | None:
    """Scale down larger images in the cache; None if there are none, or damaged ones."""
    n, size = len(plan.source.files), plan.target.img_size
    if plan.streamed:
        return None
    found = larger_entry(plan.cache_dir, plan.target, version=_VERSION, state=plan.state)
    larger = _read(found[0], n, found[1]) if found is not None else None
    if larger is None or _readable_now(plan.source, larger):
        return None
    start = perf_counter()
    images = _new_images(plan, larger.in_chans)
    shrink(np.load(larger.images_path, mmap_mode="r"), images, progress)
    images.flush()
    copy_findings(larger.folder, plan.building)
    meta = json.loads((larger.folder / META).read_text(encoding="utf-8"))
    seconds = round(perf_counter() - start, 3)
    return _finish(plan, {**meta, "img_size": size, "seconds": seconds})


def _build(plan: _Plan, progress: Progress) -> tuple[_Plan, Cached]:
    """Decode, and return the entry with its plan: another one if the time ended before all rows were decoded."""
    start = perf_counter()
    target, folder = plan.target, plan.building
    images = None if plan.streamed else _new_images(plan, target.in_chans)
    decoded = decode_all(plan.source, target, images, progress, folder=folder, time=plan.time)
    rows = decoded.rows
    if rows is not None:
        decoded = _compacted(decoded, rows, images, folder)
        part = SourcePart(plan.source, rows, state=plan.state)
        plan = replace(plan, source=part, state=part.state(), time=None)
    digests = Digests(decoded.findings.digests)
    usable = digests.known()
    usable[list(decoded.reasons)] = False
    pairs, informative = near_duplicates(decoded.findings.thumbs, digests.distinct(usable))
    np.save(folder / "pairs.npy", pairs)
    write_findings(folder, digests, decoded)
    meta = {
        "version": _VERSION,
        "state": plan.state,
        "n": len(plan.source.files),
        "img_size": target.img_size,
        "in_chans": target.in_chans,
        "resize": target.resize,
        "pixel_range": target.pixel_range,
        _INFORMATIVE: informative,
        "streamed": plan.streamed,
        "seconds": round(perf_counter() - start, 3),
    }
    return plan, replace(_finish(plan, meta), rows=rows)


def _compacted(
    decoded: Decoded, rows: npt.NDArray[np.int64], images: np.memmap[Any, Any] | None, folder: Path
) -> Decoded:
    """Return the findings of `rows` alone, and replace the files in `folder` by those of these rows."""
    if images is not None:
        draft = folder / f"{IMAGES}.part"
        shape = (len(rows), *images.shape[1:])
        kept = np.lib.format.open_memmap(draft, mode="w+", dtype=np.uint8, shape=shape)
        for begin in range(0, len(rows), _ROWS_AT_ONCE):
            kept[begin : begin + _ROWS_AT_ONCE] = images[rows[begin : begin + _ROWS_AT_ONCE]]
        kept.flush()
        draft.replace(folder / IMAGES)
    found = decoded.findings
    arrays = {name: np.array(getattr(found, name)[rows]) for name in ("digests", "sizes", "thumbs")}
    for name in arrays:  # still mapped, so they must not be written over
        (folder / f"{name}.npy").unlink(missing_ok=True)
    place = {row: k for k, row in enumerate(rows.tolist())}
    return Decoded(
        {place[row]: reason for row, reason in decoded.reasons.items()},
        [decoded.modes[row] for row in place],
        Findings(**arrays),
    )


def _new_images(plan: _Plan, channels: int) -> np.memmap[Any, np.dtype[np.uint8]]:
    """Make room for the pixels, and map a new file for them."""
    size = plan.target.img_size
    shape = (len(plan.source.files), size, size, channels)
    # On a full disk, writing to a mapped file raises no error but kills the process.
    needed = int(np.prod(shape, dtype=np.int64))
    evicted = make_room(plan.cache_dir, needed, allowed=plan.max_disk, spare=_SPARE_BYTES)
    if evicted:
        sets = "1 set of decoded images" if len(evicted) == 1 else f"{len(evicted)} sets of decoded images"
        total = sum(entry.size for entry in evicted)
        plan.note(
            f"{sets} ({total / 1e9:.2f} GB) that no running study uses removed from the cache to make room."
        )
    return np.lib.format.open_memmap(plan.building / IMAGES, mode="w+", dtype=np.uint8, shape=shape)


def _finish(plan: _Plan, meta: dict[str, Any]) -> Cached:
    """Write the last two files of the entry, and read it back."""
    (plan.building / META).write_text(json.dumps(meta, indent=1, ensure_ascii=False), encoding="utf-8")
    write_checksums(plan.building)
    return plan.read_back(plan.building)


def _read(folder: Path, n: int, img_size: int, *, streamed: bool = False) -> Cached | None:
    """Read an entry; None if it is missing, incomplete, damaged or made for something else."""
    if not folder.is_dir():
        return None
    hold = Hold(folder)
    try:
        if damage := find_damage(folder):
            raise ValueError(damage)
        meta: dict[str, Any] = read_json(folder / META)
        found = (meta["version"], meta["n"], meta["img_size"], meta["streamed"])
        if found != (_VERSION, n, img_size, streamed):
            return None
        words, found_in = read_words(folder), read_findings(folder, n)
        shape = (n, img_size, img_size, meta["in_chans"])
        if not (streamed or _holds(folder / IMAGES, shape)):
            return None
        touch(folder)
        return Cached(
            folder=folder,
            img_size=img_size,
            in_chans=meta["in_chans"],
            reasons=tuple(words["reasons"].get(str(row), "") for row in range(n)),
            digests=Digests(found_in["digests"]),
            modes=tuple(words["modes"][k] for k in found_in["modes"].tolist()),
            sizes=found_in["sizes"],
            pairs=found_in["pairs"],
            informative=bool(meta[_INFORMATIVE]),
            was_there=True,
            streamed=streamed,
            hold=hold,
            resize=meta.get("resize", "crop"),
            pixel_range=tuple(meta.get("pixel_range", ())),
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError) as error:
        _log.info("the image cache %s is damaged and made again (%s)", folder, error)
        return None


def _holds(path: Path, shape: tuple[int, ...]) -> bool:
    images = read_array(path, mapped=True)
    return bool(images.shape == shape and images.dtype == np.uint8)


@contextlib.contextmanager
def _building_folder(cache_dir: Path) -> Iterator[Path]:
    """Make a folder beside the finished entries; remove it afterwards, and new parents that stay empty."""
    made = [folder for folder in (cache_dir, *cache_dir.parents) if not folder.exists()]
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        building = new_folder(cache_dir, "building")
        building.mkdir()
        (building / LOCK).touch()
    except OSError as error:
        raise DataError(
            f"the image cache must be writable, but {str(cache_dir)!r} is not ({error.strerror}): set "
            "AUTOML_CACHE_DIR to another folder"
        ) from error
    hold = Hold(building)
    try:
        yield building
    finally:
        hold.release()
        shutil.rmtree(building, ignore_errors=True)
        for folder in made:
            with contextlib.suppress(OSError):  # not empty
                folder.rmdir()


def _install(plan: _Plan) -> None:
    """Move a finished entry to its folder, unless another process was first with a complete one."""
    if _usable(plan) is not None:
        return
    for attempt in (1, 2):
        try:
            plan.building.replace(plan.folder)
            return
        except OSError as error:
            if _usable(plan) is not None:
                return
            if attempt == 2:
                raise DataError(
                    f"the image cache {str(plan.folder)!r} cannot be written ({error.strerror})"
                ) from error
            shutil.rmtree(plan.folder, ignore_errors=True)
