"""Features on disk: an interrupted study goes on where it was, and later ones on the same images need no network.

An entry is a folder with the features of one network for the images of one data set. Its files hold some rows each and
appear at once, so several studies may add to it. They are zips, whose checksums reveal damage.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.cache.eviction import META, Hold, make_room, touch
from automl.data.cache.streamed_images import open_images
from automl.documents.array_file import read_arrays
from automl.errors import DataError
from automl.log import get_logger

MOST_BYTES = 2 * 10**9  # of all entries
_VERSION = 1
_SPARE_BYTES = 64 * 2**20
_FLUSH_ROWS, _FLUSH_SECONDS = 1024, 5.0
_OLD_SECONDS = 60.0
_SAMPLED = 16  # images whose pixels are part of the identity of a data set
_LARGEST_HALF = 6e4  # of float16

_log = get_logger(__name__)
_Index = npt.NDArray[np.int64]
_Array = npt.NDArray[np.float32]


class FeatureCache:
    """The entries in `folder`/features, MOST_BYTES at most; without a folder nothing is kept.

    The least recently used entries that no process uses are evicted. A folder that cannot be written, or a full disk,
    only costs the memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self._root = None if folder is None else folder / "features"

    def entry(self, facts: Mapping[str, Any]) -> FeatureEntry:
        """Return the entry for features that `facts` describe completely: values for JSON."""
        if self._root is None:
            return FeatureEntry(None, facts)
        text = json.dumps({**facts, "version": _VERSION}, sort_keys=True)
        return FeatureEntry(self._root / hashlib.sha256(text.encode()).hexdigest()[:32], facts)


class FeatureEntry:
    """The features of one network for one data set. Use it in a `with` block: its end writes what was added."""

    def __init__(self, folder: Path | None, facts: Mapping[str, Any]) -> None:
        self._folder, self._facts = folder, facts
        self._hold: Hold | None = None
        self._rows: list[_Index] = []
        self._values: list[npt.NDArray[Any]] = []
        self._flushed = monotonic()

    def __enter__(self) -> FeatureEntry:
        if self._folder is not None and self._folder.is_dir():
            self._hold = Hold(self._folder)
            touch(self._folder)
            _remove_drafts(self._folder)
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        if self._hold is not None:
            self._hold.release()

    def count(self, rows: _Index) -> int:
        """Return how many of these different rows are there, by their files' own word: values are not read."""
        found = [np.intersect1d(there, rows) for there, _ in self._parts(values=False)]
        return len(np.unique(np.concatenate(found))) if found else 0

    def load(self, rows: _Index, width: int) -> tuple[_Array, npt.NDArray[np.bool_]]:
        """Return features (n, width) of n different rows, and which of them are there (n,); others are 0."""
        found, there = np.zeros((len(rows), width), dtype=np.float32), np.zeros(len(rows), dtype=np.bool_)
        order = np.argsort(rows)
        for stored, values in self._parts():
            if values.shape != (len(stored), width) or not len(rows):
                continue
            place = order[np.searchsorted(rows, stored, sorter=order).clip(max=len(rows) - 1)]
            hit = rows[place] == stored
            found[place[hit]], there[place[hit]] = values[hit], True
        return found, there

    def add(self, rows: _Index, values: npt.NDArray[Any]) -> None:
        """Keep features (n, width) of these rows, float16 or float32. They are written every few seconds."""
        if self._folder is None:
            return
        self._rows.append(rows)
        self._values.append(values)
        late = monotonic() - self._flushed > _FLUSH_SECONDS
        if late or sum(map(len, self._rows)) >= _FLUSH_ROWS:
            self._flush()

    def _parts(self, *, values: bool = True) -> Iterator[tuple[_Index, npt.NDArray[Any]]]:
        """Yield rows and features of each file. One that is damaged is removed."""
        if self._folder is None or not self._folder.is_dir():
            return
        for path in sorted(self._folder.glob("part-*.npz")):
            try:
                names = ("rows", "values") if values else ("rows",)
                part = read_arrays(path, names)
                if part["rows"].ndim != 1 or part["rows"].dtype != np.int64:
                    raise ValueError(f"its rows are {part['rows'].dtype} {part['rows'].shape}")
                yield part["rows"], part[names[-1]]
            except (OSError, ValueError) as error:
                _log.info("features in %s are damaged and computed again (%s)", path, error)
                with contextlib.suppress(OSError):
                    path.unlink()

    def _flush(self) -> None:
        """Write what was added to a new file, which appears at once. On an error nothing more is kept."""
        self._flushed = monotonic()
        if self._folder is None or not self._rows:
            return
        rows, values = np.concatenate(self._rows), np.concatenate(self._values)
        self._rows, self._values = [], []
        try:
            self._open(self._folder)
            make_room(self._folder.parent, values.nbytes, allowed=MOST_BYTES, spare=_SPARE_BYTES)
            draft = self._folder / f"part-{os.getpid()}-{time.time_ns()}.npz.draft"
            with draft.open("wb") as file:
                np.savez(file, rows=rows, values=values)
            draft.replace(draft.with_suffix(""))
        except (OSError, DataError) as error:
            _log.info("features are not kept for later studies: %s", error)
            self._folder = None

    def _open(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if self._hold is None:
            self._hold = Hold(folder)
        if not (folder / META).exists():
            text = json.dumps(dict(self._facts), indent=1, ensure_ascii=False)
            (folder / META).write_text(text, encoding="utf-8")


def as_kept(values: _Array, *, half: bool) -> npt.NDArray[Any]:
    """Return features as they are kept: in float16 if `half` and if they fit.

    Those of bf16, with 8 bits, lose nothing by it. Features should be used in this form, so that a later study gets the
    same ones.
    """
    return values.astype(np.float16) if half and float(np.abs(values).max()) < _LARGEST_HALF else values


def identity_of(place: Path) -> str:
    """Return a hash of the images of a data set and of their order: of their digests if known, and of some pixels.

    The fingerprint of a data set does not tell their order.
    """
    images = open_images(place)
    found = hashlib.sha256(repr(images.shape).encode())
    digests = place.parent / "digests.npy"
    if digests.is_file():
        found.update(digests.read_bytes())
    sampled = np.unique(np.linspace(0, len(images) - 1, num=_SAMPLED).astype(np.int64))
    found.update(np.ascontiguousarray(images[sampled]).tobytes())
    return found.hexdigest()


def _remove_drafts(folder: Path) -> None:
    """Remove the unfinished files of killed processes."""
    for path in folder.glob("*.draft"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _OLD_SECONDS:
                path.unlink()
