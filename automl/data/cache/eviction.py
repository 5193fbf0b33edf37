"""The cache folder: which entries are in use, how much space they take, and which are evicted."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from automl.errors import DataError

if sys.platform != "win32":
    import fcntl

LOCK = "lock"
META = "meta.json"
IMAGES = "images.npy"
_ENTRY = re.compile(r"[0-9a-f]{32}")
_UNFINISHED = re.compile(r"(building|removing)-\d+-\d+")
# Younger folders are kept: their builder may not have locked them yet.
_YOUNG_SECONDS = 60.0


class NoRoomError(DataError):
    """The disk or `max_disk` has no room for the decoded images."""


class Hold:
    """Marks an entry as used by this process, until it is released, deleted, or the process ends.

    It is a shared lock (flock) on a file in the entry. The system releases it even if the process is killed, so no
    stale mark is left.
    """

    def __init__(self, folder: Path) -> None:
        self._release: Callable[[], object] = lambda: None
        with contextlib.suppress(OSError):  # a shared cache without write permission can still be read
            file = _open_lock(folder)
            if sys.platform != "win32":
                fcntl.flock(file, fcntl.LOCK_SH)
            self._release = weakref.finalize(self, os.close, file)

    def release(self) -> None:
        """Release the lock; a second call does nothing."""
        self._release()


@dataclass(frozen=True)
class Entry:
    """A folder of decoded images: its bytes, and when it was last used (`time.time()`)."""

    folder: Path
    size: int
    used: float


def entries(cache_dir: Path) -> list[Entry]:
    """Return the finished entries of `cache_dir`, the least recently used first."""
    found = []
    for folder in _folders(cache_dir, _ENTRY):
        with contextlib.suppress(OSError):  # removed at this moment
            meta = folder / META
            found.append(Entry(folder, _size(folder), meta.stat().st_mtime if meta.exists() else 0.0))
    return sorted(found, key=lambda entry: (entry.used, entry.folder.name))


def touch(folder: Path) -> None:
    """Record that an entry is used now."""
    with contextlib.suppress(OSError):  # another user owns it: its age stays the same
        os.utime(folder / META)


def make_room(cache_dir: Path, needed: int, *, allowed: int | None, spare: int) -> list[Entry]:
    """Evict unused entries, the least recently used first, until `needed` more bytes fit, and return them.

    All entries together may then take `allowed` bytes, and `spare` bytes of the disk stay free. Remains of killed
    builders are always removed. Raises NoRoomError, and evicts nothing, if that is not enough.
    """
    remove_unfinished(cache_dir)
    known = entries(cache_dir)
    free = shutil.disk_usage(cache_dir).free
    missing = needed + spare - free
    if allowed is not None:
        missing = max(missing, sum(entry.size for entry in known) + needed - allowed)
    chosen: list[Entry] = []
    for entry in known:
        if missing <= 0:
            break
        if not _in_use(entry.folder):
            chosen.append(entry)
            missing -= entry.size
    if missing > 0:
        raise NoRoomError(_too_small(cache_dir, needed, allowed, free - spare))
    return [entry for entry in chosen if _remove(entry.folder)]


def remove_unfinished(cache_dir: Path) -> None:
    """Remove the unfinished folders of killed processes in `cache_dir`."""
    for folder in _folders(cache_dir, _UNFINISHED):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _YOUNG_SECONDS:
                _remove(folder)


def new_folder(cache_dir: Path, purpose: str) -> Path:
    """Return a name for an unfinished folder. tempfile would make it private, but the cache is shared."""
    return cache_dir / f"{purpose}-{os.getpid()}-{time.time_ns()}"


def _open_lock(folder: Path) -> int:
    try:
        return os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        return os.open(folder / LOCK, os.O_RDONLY)


@contextlib.contextmanager
def _exclusive(folder: Path) -> Iterator[bool]:
    """Yield whether no process uses the folder; if so, none can start to use it inside of the block."""
    if sys.platform == "win32":
        yield False  # no locks that end with their process: nothing is evicted there
        return
    try:
        file = _open_lock(folder)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = True
    except OSError:
        free = False
    try:
        yield free
    finally:
        os.close(file)


def _in_use(folder: Path) -> bool:
    with _exclusive(folder) as free:
        return not free


def _remove(folder: Path) -> bool:
    """Rename an unused folder and delete its files; return whether it is gone."""
    with _exclusive(folder) as free:
        if not free:
            return False
        going = new_folder(folder.parent, "removing")
        try:
            folder.replace(going)
        except OSError:
            return False
        shutil.rmtree(going, ignore_errors=True)
        return True


def _folders(cache_dir: Path, name: re.Pattern[str]) -> list[Path]:
    """Return the folders whose names match; other folders there belong to the user."""
    try:
        return sorted(path for path in cache_dir.iterdir() if name.fullmatch(path.name) and path.is_dir())
    except OSError:
        return []


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _too_small(cache_dir: Path, needed: int, allowed: int | None, free: int) -> str:
    what = f"the decoded images need {needed / 1e9:.2f} GB in {str(cache_dir)!r}, but "
    if allowed is not None and needed > allowed:
        return f"{what}--max-disk allows {allowed / 1e9:.2f} GB: raise it, or choose a smaller --img-size"
    if needed > free:
        return (
            f"{what}{max(0, free) / 1e9:.2f} GB are free: free space, or choose another folder or image size"
        )
    return f"{what}running studies use too much of the rest: wait for them, raise --max-disk or free space"
