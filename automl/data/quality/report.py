"""The report on a data set."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from automl.data.cache.cache import Cached
from automl.data.channel_stats import channel_statistics
from automl.data.decoding.pixel_range import PixelRange
from automl.data.folds import folds_in_words
from automl.data.labelled_rows import Labelled
from automl.data.quality.findings import (
    Finding,
    InspectedRows,
    group_leak_finding,
    inspect_rows,
    mode_finding,
    untested_finding,
)
from automl.data.sources.base import Source
from automl.data.splits import HOLDOUT, TRAIN, VAL, Split
from automl.records import BadFile, Task
from automl.terminal.html_table import html_table

_NAMED_FILES = 3


@dataclass(frozen=True)
class DataReport:
    """Facts about a data set that affect how far a score can be trusted.

    `n_images` are usable; `bad` could not be used. `class_counts[class][part]` are rows of "train", "val" and
    "holdout", of each class or with each label (all folds of a cross-validation are "train"); for a regression,
    `values[column][part]` is (min, mean, max). `findings` are about content and balance, `notes` are other
    sentences. `widths` and `heights` are (min, median, max) of the original images in pixels; `modes` counts
    Pillow's modes. `mean` and `std` are those of the training pixels, scaled to 0..1, one value per channel.
    `pixel_range` is black and white of pixels with more than 8 bits, () for 8 bits. `seconds` is the time of
    preparing, `from_cache` whether decoding was saved.
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
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    findings: tuple[Finding, ...] = ()
    values: Mapping[str, Mapping[str, tuple[float, float, float]]] = field(default_factory=dict)
    pixel_range: PixelRange = ()

    def to_json(self) -> str:
        """Return all fields as one JSON object."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False)

    def _repr_html_(self) -> str:
        """Return facts, findings and class counts as a notebook shows them."""
        facts = [
            ("images", f"{self.n_images:,} for {self.task}, {len(self.bad)} unreadable"),
            ("width", _range_words(self.widths)),
            ("height", _range_words(self.heights)),
            ("trained at", f"{self.img_size} px, {self.in_chans} channels"),
            *(("found", finding.headline) for finding in self.findings),
            *(("note", note) for note in self.notes),
        ]
        parts = (TRAIN, VAL, HOLDOUT)
        counts = [
            (name, *(by.get(part, 0) for part in parts), sum(by.values()))
            for name, by in self.class_counts.items()
        ]
        shown = html_table(facts, title=self.name)
        return shown + (html_table(counts, columns=("class", *parts, "all")) if counts else "")

    def __repr__(self) -> str:
        return (
            f"DataReport({self.name!r}, {self.task}, {self.n_images} images, {len(self.class_counts)} classes, "
            f"{len(self.bad)} bad, {self.img_size} px, {self.in_chans} channels)"
        )


def make_report(
    source: Source, cached: Cached, labelled: Labelled, split: Split, *, seconds: float
) -> DataReport:
    """Return the report on decoded and split data; `seconds` is the time that took."""
    bad = bad_files(cached, source.files)
    notes = [*source.notes, *labelled.notes]
    if bad:
        notes.append(bad_note(bad))
    gone = []
    if source.task == "classification":
        readable = np.unique(source.targets[labelled.usable]).tolist()
        gone = sorted(set(source.classes) - {source.classes[k] for k in readable})
    if gone:
        notes.append(f"Classes without a readable image left out: {', '.join(gone)}.")
    counts, values = _by_part(labelled, split)
    inspected = InspectedRows(
        files=labelled.files,
        labels=labelled.words,
        given=labelled.given,
        image_ids=labelled.digests.first_rows(),
        clusters=labelled.clusters,
    )
    leak = group_leak_finding(labelled.leaking, labelled.given, apart=labelled.apart)
    untested = untested_finding(counts, source.task)
    modes = mode_counts(cached)
    odd = mode_finding(modes, cached.pixel_range)
    mean, std = channel_statistics(cached.images_path, labelled.usable[np.array(split.parts) == TRAIN])
    total = {name: sum(parts.values()) for name, parts in counts.items()}
    sizes = cached.sizes[labelled.usable]
    return DataReport(
        name=source.name,
        task=source.task,
        fingerprint=source.content(cached.digests),
        n_images=len(labelled.files),
        bad=bad,
        class_counts=counts,
        widths=size_range(sizes[:, 0].tolist()),
        heights=size_range(sizes[:, 1].tolist()),
        modes=modes,
        img_size=cached.img_size,
        in_chans=cached.in_chans,
        seconds=round(seconds, 3),
        from_cache=cached.was_there,
        notes=(*notes, *split.notes, *([folds] if (folds := folds_in_words(split)) else [])),
        findings=(
            *inspect_rows(inspected, source.task, total, informative=cached.informative),
            *(finding for finding in (untested, leak, odd) if finding is not None),
        ),
        mean=mean,
        std=std,
        values=values,
        pixel_range=cached.pixel_range,
    )


def _by_part(
    labelled: Labelled, split: Split
) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, tuple[float, float, float]]]]:
    """Return the rows of each class or label by part, and the range of each column of a regression by part."""
    parts = np.array(split.shown)
    targets = labelled.targets
    if labelled.task == "classification":
        by = {
            part: np.bincount(targets[parts == part], minlength=len(labelled.classes)).tolist()
            for part in (TRAIN, VAL, HOLDOUT)
        }
        return {
            name: {part: column[k] for part, column in by.items()} for k, name in enumerate(labelled.classes)
        }, {}
    counts: dict[str, dict[str, int]] = {}
    values: dict[str, dict[str, tuple[float, float, float]]] = {}
    for k, name in enumerate(labelled.classes):
        columns = {part: targets[parts == part, k] for part in (TRAIN, VAL, HOLDOUT)}
        if labelled.task == "regression":
            values[name] = {
                part: (float(cells.min()), float(cells.mean()), float(cells.max()))
                for part, cells in columns.items()
                if len(cells)
            }
        else:
            counts[name] = {part: int(cells.sum()) for part, cells in columns.items()}
    return counts, values


def _range_words(sizes: tuple[int, int, int]) -> str:
    """Return the sizes of the images in words."""
    low, middle, high = sizes
    return f"{low} px" if low == high else f"{low} to {high} px, median {middle}"


def size_range(values: Sequence[int]) -> tuple[int, int, int]:
    """Return (min, median, max)."""
    return int(np.min(values)), int(np.median(values)), int(np.max(values))


def bad_files(cached: Cached, files: Sequence[str]) -> tuple[BadFile, ...]:
    """Return the files that could not be used."""
    return tuple(BadFile(file, reason) for file, reason in zip(files, cached.reasons, strict=True) if reason)


def mode_counts(cached: Cached) -> dict[str, int]:
    """Return the number of usable images in each of Pillow's modes, the most frequent first."""
    return dict(Counter(mode for mode in cached.modes if mode).most_common())


def bad_note(bad: Sequence[BadFile]) -> str:
    """Return a sentence that names the first bad files."""
    shown = ", ".join(f"{file.file} ({file.reason})" for file in bad[:_NAMED_FILES])
    more = f" and {len(bad) - _NAMED_FILES} more" if len(bad) > _NAMED_FILES else ""
    return f"{len(bad)} file{'s' if len(bad) != 1 else ''} skipped: {shown}{more}."
