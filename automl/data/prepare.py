"""From a source to splits that a search can use: scan, decode, split, measure."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypedDict, Unpack

import numpy as np
import pandas as pd

from automl.data.cache import Cached, open_or_build
from automl.data.holdout import Holdout
from automl.data.report import DataReport, bad_files, bad_note, mode_counts, size_range
from automl.data.scan import choose_target
from automl.data.shelf import Hold
from automl.data.sources.base import Source
from automl.data.splits import HOLDOUT, TRAIN, VAL, Row, Split, require_classes, split_rows
from automl.data.statistics import channel_statistics
from automl.errors import DataError
from automl.records import DatasetInfo, Observer, Rows, SearchSplits, Silent


class DataOptions(TypedDict, total=False):
    """What decides about the data; the values in brackets hold where a key is missing.

    `img_size` ("auto"): pixels; `max_size` (224): the most that "auto" may choose; `val` (0.2) and `holdout`
    (0.2): shares, used where the data give no such part; `seed` (0); `on_bad_image` ("skip"): "skip" or
    "error"; `max_disk` (no limit): bytes that all decoded pictures in the cache may take.
    """

    img_size: int | Literal["auto"]
    max_size: int
    val: float
    holdout: float
    seed: int
    on_bad_image: Literal["skip", "error"]
    max_disk: int


@dataclass(frozen=True)
class PreparedData:
    """Data ready for a search. `table` has the columns file, label, split, group, sha256, one row a usable
    image. The decoded pictures stay in the cache at least as long as `hold` lives.
    """

    splits: SearchSplits
    holdout: Holdout
    report: DataReport
    table: pd.DataFrame
    hold: Hold = field(repr=False, compare=False)

    def __repr__(self) -> str:
        info = self.splits.info
        return (
            f"PreparedData({info.name!r}, train={info.n_train}, val={info.n_val}, holdout={info.n_holdout})"
        )


def prepare_data(
    source: Source,
    *,
    cache_dir: Path,
    study_dir: Path,
    observer: Observer | None = None,
    **options: Unpack[DataOptions],
) -> PreparedData:
    """Scan, decode (or find decoded) and divide the pictures of `source`.

    The decoded pictures lie in `cache_dir`, shared by studies; `study_dir/index` receives the rows of each
    part. Nothing stays written if the data cannot be used. Raises DataError for data that are too few, of one
    class, without a readable picture, or with any unreadable one where `on_bad_image` is "error".
    """
    start = time.perf_counter()
    watcher = observer if observer is not None else Silent()
    _check_early(source, options)
    watcher.stage("scan", f"looking at {len(source.files)} images of {source.name}")
    target = choose_target(
        source, img_size=options.get("img_size", "auto"), max_size=options.get("max_size", 224)
    )
    watcher.stage("cache", f"decoding {len(source.files)} images to {target.img_size} px")
    splits: list[Split] = []

    def check(cached: Cached) -> None:
        if options.get("on_bad_image", "skip") == "error":
            _refuse_bad(cached, source)
        splits[:] = [_split(cached, source, options)]

    cached = open_or_build(
        source,
        target,
        cache_dir=cache_dir,
        check=check,
        progress=watcher.progress,
        max_disk=options.get("max_disk"),
        note=watcher.note,
    )
    watcher.progress(len(source.files), len(source.files))
    split = splits[0]
    parts = _write_parts(cached, split, study_dir / "index")
    info = _info(source, cached, parts)
    report = _report(source, cached, split, start)
    for note in report.notes:
        watcher.note(note)
    return PreparedData(
        splits=SearchSplits(info=info, train=parts[TRAIN], val=parts[VAL]),
        holdout=Holdout(parts[HOLDOUT]),
        report=report,
        table=_table(source, cached, split),
        hold=cached.hold,
    )


def _check_early(source: Source, options: DataOptions) -> None:
    """Refuse before the first picture is decoded what names and options alone show to be unusable."""
    if source.task != "classification":
        raise DataError(
            f"the task must be 'classification', not {source.task!r}: other tasks are not supported"
        )
    choice = options.get("on_bad_image", "skip")
    if choice not in ("skip", "error"):
        raise DataError(f"on_bad_image must be 'skip' or 'error', not {choice!r}")
    names = [source.classes[label] for label in source.labels.tolist()]
    require_classes(Counter(names))


def _refuse_bad(cached: Cached, source: Source) -> None:
    bad = bad_files(cached, source.files)
    if bad:
        raise DataError(
            f"every image must be readable, but {len(bad)} of {len(cached.reasons)} are not, the first is "
            f"{bad[0].file!r} ({bad[0].reason}): repair or remove them, or use on_bad_image='skip'"
        )


def _usable(cached: Cached) -> list[int]:
    return np.flatnonzero(cached.targets >= 0).tolist()


def _split(cached: Cached, source: Source, options: DataOptions) -> Split:
    """The split of all rows of the cache; "" for unusable ones."""
    usable = _usable(cached)
    rows = [
        Row(cached.classes[cached.targets[i]], group=cached.digests[i], given=source.splits[i])
        for i in usable
    ]
    split = split_rows(
        rows,
        val=options.get("val", 0.2),
        holdout=options.get("holdout", 0.2),
        seed=options.get("seed", 0),
    )
    parts = [""] * len(cached.reasons)
    for i, part in zip(usable, split.parts, strict=True):
        parts[i] = part
    return Split(parts=tuple(parts), notes=split.notes)


def _write_parts(cached: Cached, split: Split, folder: Path) -> dict[str, Rows]:
    parts = np.array(split.parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        rows = {}
        for part in (TRAIN, VAL, HOLDOUT):
            index = np.flatnonzero(parts == part).astype(np.int64)
            path = folder / f"{part}.npy"
            np.save(path, index)
            rows[part] = Rows(
                images=cached.images_path, targets=cached.targets_path, index=path, n=len(index)
            )
    except OSError as error:
        raise DataError(
            f"the folder of the study must be writable, but {str(folder)!r} is not ({error.strerror}): "
            "choose another"
        ) from error
    return rows


def _info(source: Source, cached: Cached, parts: dict[str, Rows]) -> DatasetInfo:
    mean, std = channel_statistics(parts[TRAIN])
    counts = np.bincount(cached.targets[np.load(parts[TRAIN].index)], minlength=len(cached.classes))
    return DatasetInfo(
        name=source.name,
        task=source.task,
        classes=cached.classes,
        in_chans=cached.in_chans,
        img_size=cached.img_size,
        mean=mean,
        std=std,
        class_counts=tuple(counts.tolist()),
        fingerprint=cached.fingerprint,
        n_train=len(parts[TRAIN]),
        n_val=len(parts[VAL]),
        n_holdout=len(parts[HOLDOUT]),
        n_skipped=sum(1 for reason in cached.reasons if reason),
    )


def _report(source: Source, cached: Cached, split: Split, start: float) -> DataReport:
    usable = _usable(cached)
    counts = {name: {TRAIN: 0, VAL: 0, HOLDOUT: 0} for name in cached.classes}
    for i in usable:
        if split.parts[i]:
            counts[cached.classes[cached.targets[i]]][split.parts[i]] += 1
    bad = bad_files(cached, source.files)
    notes = list(source.notes)
    if bad:
        notes.append(bad_note(bad))
    gone = sorted(set(source.classes) - set(cached.classes))
    if gone:
        notes.append(f"Classes without a readable image left out: {', '.join(gone)}.")
    sizes = cached.sizes[usable]
    return DataReport(
        name=source.name,
        task=source.task,
        fingerprint=cached.fingerprint,
        n_images=len(usable),
        bad=bad,
        class_counts=counts,
        widths=size_range(sizes[:, 0].tolist()),
        heights=size_range(sizes[:, 1].tolist()),
        modes=mode_counts(cached),
        img_size=cached.img_size,
        in_chans=cached.in_chans,
        seconds=round(time.perf_counter() - start, 3),
        from_cache=cached.was_there,
        notes=(*notes, *split.notes),
    )


def _table(source: Source, cached: Cached, split: Split) -> pd.DataFrame:
    usable = _usable(cached)
    digests = [cached.digests[i] for i in usable]
    copies = Counter(digests)
    return pd.DataFrame(
        {
            "file": [source.files[i] for i in usable],
            "label": [cached.classes[cached.targets[i]] for i in usable],
            "split": [split.parts[i] for i in usable],
            # A short name of the copies that stay together; empty where a picture has none.
            "group": [digest[:12] if copies[digest] > 1 else "" for digest in digests],
            "sha256": digests,
        }
    )
