"""Report on data without training on them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from automl.config.sizes import parse_size
from automl.data.cache.cache import Cached, open_or_build
from automl.data.constants import CPU_SIZE, GPU_SIZE
from automl.data.decoding.image_format import choose_target
from automl.data.labelled_rows import Labelled, OnGroupLeak, label
from automl.data.quality.report import DataReport, make_report
from automl.data.sources import open_data
from automl.data.sources.base import Source, counted
from automl.data.splits import TRAIN, Split, split_columns
from automl.errors import DataError
from automl.machine import cache_folder
from automl.records import Observer, ReadOptions, Silent

MAX_DISK = "20G"


@dataclass(frozen=True)
class Inspection:
    """A report with what it was made from. The source is open, and the decoded images are kept, while this exists."""

    report: DataReport
    source: Source
    cached: Cached
    labelled: Labelled
    split: Split


def inspect_data(
    data: Any,
    *,
    target: str | None = None,
    image_column: str | None = None,
    group_column: str | None = None,
    task: str = "auto",
    img_size: int | Literal["auto"] = "auto",
    seed: int = 0,
    on_group_leak: OnGroupLeak = "keep",
    max_disk: int | str = MAX_DISK,
    observer: Observer | None = None,
    look: Callable[[Inspection], None] | None = None,
) -> DataReport:
    """Report on `data` (as in `open_source`), with the parts that a search would use.

    Every image is decoded, in parallel, and cached for a later search. Data that cannot be split are reported too, with
    the reason as a note. `max_disk` limits the cache, as in a study. `look` is called with the inspection at the end.
    Raises DataError for data that cannot be read.
    """
    start = time.perf_counter()
    watcher = observer if observer is not None else Silent()
    source = open_data(data, ReadOptions(target, task, image_column, group_column))
    try:
        watcher.stage("scan", f"looking at {counted(len(source.files), 'image')} of {source.name}")
        # The size that a search would choose, so that it finds the decoded images.
        largest = GPU_SIZE if Path("/dev/nvidiactl").exists() else CPU_SIZE
        wanted = choose_target(source, img_size=img_size, max_size=largest)
        source.notes += wanted.notes
        found: list[Labelled] = []

        def check(cached: Cached) -> None:
            found[:] = [label(source, cached, on_group_leak=on_group_leak)]

        watcher.stage("cache", f"decoding {counted(len(source.files), 'image')} to {wanted.img_size} px")
        cached = open_or_build(
            source,
            wanted,
            cache_dir=cache_folder(),
            check=check,
            progress=watcher.progress,
            max_disk=_bytes(max_disk),
            note=watcher.note,
        )
        split = _split(found[0], seed)
        labelled = found[0].trained(split) if TRAIN in split.parts else found[0]
        report = make_report(source, cached, labelled, split, seconds=time.perf_counter() - start)
        if look is not None:
            look(Inspection(report, source, cached, labelled, split))
        return report
    finally:
        source.close()


def _bytes(size: int | str) -> int:
    try:
        return parse_size(size)
    except ValueError as error:
        raise DataError(f"max_disk {error}") from error


def _split(labelled: Labelled, seed: int) -> Split:
    try:
        return split_columns(labelled.columns(), val=0.2, holdout=0.2, seed=seed, task=labelled.task)
    except DataError as error:
        given = tuple(part or TRAIN for part in labelled.given)
        return Split(given, (f"No study can use these data yet: {error}.",))
