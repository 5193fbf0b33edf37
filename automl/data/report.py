"""What the scan found in the data."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from automl.data.cache import Cached
from automl.records import BadFile, Task

_NAMED_FILES = 3


@dataclass(frozen=True)
class DataReport:
    """The facts about a data set that a person should know before believing a score.

    `n_images` are usable; `bad` could not be used. `class_counts[class][part]` are rows of "train", "val" and
    "holdout". `widths` and `heights` are (min, median, max) of the pictures as they came, in pixels; `modes`
    counts Pillow's modes. `seconds` is the time that preparing took, `from_cache` whether decoding was saved.
    """

    name: str
    task: Task
    fingerprint: str
    n_images: int
    bad: tuple[BadFile, ...]
    class_counts: Mapping[str, Mapping[str, int]]
    widths: tuple[int, int, int]
    heights: tuple[int, int, int]
    modes: Mapping[str, int]
    img_size: int
    in_chans: int
    seconds: float
    from_cache: bool
    notes: tuple[str, ...]

    def to_json(self) -> str:
        """All fields as one JSON object."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False)

    def __repr__(self) -> str:
        return (
            f"DataReport({self.name!r}, {self.n_images} images, {len(self.class_counts)} classes, "
            f"{len(self.bad)} bad, {self.img_size} px, {self.in_chans} channels)"
        )


def size_range(values: Sequence[int]) -> tuple[int, int, int]:
    """(min, median, max)."""
    return int(np.min(values)), int(np.median(values)), int(np.max(values))


def bad_files(cached: Cached, files: Sequence[str]) -> tuple[BadFile, ...]:
    """The files that could not be used."""
    return tuple(BadFile(file, reason) for file, reason in zip(files, cached.reasons, strict=True) if reason)


def mode_counts(cached: Cached) -> dict[str, int]:
    """How many usable pictures have which mode of Pillow's, the most frequent first."""
    return dict(Counter(mode for mode in cached.modes if mode).most_common())


def bad_note(bad: Sequence[BadFile]) -> str:
    """One sentence that names the first bad files."""
    shown = ", ".join(f"{file.file} ({file.reason})" for file in bad[:_NAMED_FILES])
    more = f" and {len(bad) - _NAMED_FILES} more" if len(bad) > _NAMED_FILES else ""
    return f"{len(bad)} file{'s' if len(bad) != 1 else ''} skipped: {shown}{more}."
