"""A part of the rows of a source, where the time does not suffice to decode all."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from automl.data.sources.base import Source, Targets
from automl.data.sources.files.base import Files
from automl.records import Task

# Rows of each class and given part that come first, so that a class does not get lost: two to train, two to test.
FIRST = 4


class SourcePart(Source):
    """Some rows of a source, as a source of its own; `rows` are sorted. `state` is that of the source, if it is known.

    Its state and its content are others than those of the whole, so decoded images of a part are never taken for those
    of the whole.
    """

    def __init__(self, source: Source, rows: npt.NDArray[np.int64], *, state: str | None = None) -> None:
        self.whole, self.rows = source, rows
        self._state = state
        self._places: list[int] = rows.tolist()
        self.name = source.name
        self.task: Task = source.task
        self.classes = source.classes
        self.targets: Targets = source.targets[rows]
        self.label_type, self.pixel_range = source.label_type, source.pixel_range
        self.files: Sequence[str] = self._of(source.files)
        self.splits: Sequence[str] = self._of(source.splits)
        self.groups: Sequence[str] = self._of(source.groups)
        self.notes = (*source.notes, part_note(len(rows), len(source.files)))

    def _of(self, values: Sequence[str]) -> list[str]:
        return [values[i] for i in self._places]

    def read(self, i: int) -> bytes:
        return self.whole.read(self._places[i])

    def decode(self, data: bytes) -> Image.Image:
        return self.whole.decode(data)

    def state(self) -> str:
        """Hash the state of the whole, and which rows these are."""
        state = self.whole.state() if self._state is None else self._state
        return hashlib.sha256(f"{state}\0part\0".encode() + self.rows.astype("<i8").tobytes()).hexdigest()

    def stored(self) -> tuple[Files, Sequence[str]] | None:
        stored = self.whole.stored()
        return None if stored is None else (stored[0], self._of(stored[1]))

    def close(self) -> None:
        self.whole.close()


def whole_source(source: Source) -> Source:
    """Return the source that `source` is a part of, or itself."""
    return source.whole if isinstance(source, SourcePart) else source


def part_note(used: int, n: int) -> str:
    """Return the sentence that says how many of `n` images are used."""
    return (
        f"{used:,} of {n:,} images are used, drawn at random: there was no time to decode more; a longer --time-limit "
        "uses all."
    )


def fair_order(source: Source, seed: int) -> npt.NDArray[np.int64]:
    """Return all rows (n,) in a random order whose beginning is a fair sample, however long it is.

    It has each class, in each part that the data assign, in its share, after `FIRST` rows of each. Without classes only
    the assigned parts keep their shares.
    """
    n = len(source.files)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(n)
    _, parts = np.unique(np.asarray(source.splits, dtype=object).astype(str), return_inverse=True)
    strata = parts.astype(np.int64)
    if source.task == "classification":
        strata = strata * len(source.classes) + np.asarray(source.targets, dtype=np.int64)
    order = shuffled[np.argsort(strata[shuffled], kind="stable")]  # one stratum after another, each shuffled
    _, first, counts = np.unique(strata[order], return_index=True, return_counts=True)
    rank = np.arange(n) - np.repeat(first, counts)
    size = np.repeat(counts, counts)
    share = (rank - FIRST + rng.random(n)) / np.maximum(size - FIRST, 1)
    key = np.where(rank < FIRST, rank - FIRST - 1.0, share)
    return np.asarray(order[np.lexsort((rng.random(n), key))], dtype=np.int64)
