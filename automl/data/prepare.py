"""Prepare a source for a search: scan, decode, split, report."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, get_args

import numpy as np
import numpy.typing as npt

from automl.data.cache.cache import Cached, open_or_build
from automl.data.cache.eviction import Hold
from automl.data.cache.streamed_images import streaming_cost
from automl.data.cache.two_sizes import Stored, decode_to_sizes, decoded_part
from automl.data.constants import GPU_SIZE
from automl.data.decoding.decode import DecodingTime
from automl.data.decoding.image_format import Target, choose_targets
from automl.data.decoding.pixel_range import PixelRange
from automl.data.folds import write_folds
from automl.data.holdout import Holdout
from automl.data.labelled_rows import Labelled, OnGroupLeak, label
from automl.data.quality.report import DataReport, bad_files, make_report
from automl.data.sources.base import Source, counted
from automl.data.sources.part import SourcePart, fair_order
from automl.data.splits import (
    HOLDOUT,
    TRAIN,
    VAL,
    Split,
    refuse_given_validation,
    require_classes,
    split_columns,
)
from automl.errors import DataError, unknown_name
from automl.machine import Moment
from automl.records import DatasetInfo, Observer, Resize, Rows, SearchSplits, Silent

if TYPE_CHECKING:
    import pandas as pd

ROWS = "rows.npy"  # in the index: the rows of the source that are used, if the time did not suffice to decode all
LEAST = 64  # images that are decoded whatever the time
SCAN_SHARE = 0.2  # of the time for decoding
_COLUMNS = ("file", "label", "split", "group", "sha256")
_FOLD = "fold"  # a further column under cross-validation

ChooseResize = Callable[[Source, Labelled, Split], Resize]


class ResizeOptions(TypedDict, total=False):
    """How images become squares, with defaults in brackets.

    `resize` ("crop"): the way; `choose_resize` (none): called with the source, the labels and the split once all images
    are decoded; if it returns another way, they are decoded again;
    `pixel_range` (found): that of an earlier run of the study.
    """

    resize: Resize
    choose_resize: ChooseResize
    pixel_range: PixelRange


class DataOptions(ResizeOptions, total=False):
    """Options of `prepare_data`, with defaults in brackets.

    `img_size` ("auto"): pixels; `max_size` (224): the largest size that "auto" may choose; `large_size` (0): if
    more, and "auto" chose less than the images hold, they are stored at this size as well; `val` (0.2) and
    `holdout` (0.2): shares, unless the data assign such a part; `folds` (0): if more, so many folds instead of
    validation rows; `seed` (0); `on_bad_image` ("skip"): "skip" or "error"; `on_group_leak` ("keep"): as in
    `label`; `max_disk` (no limit): bytes that all decoded images in the cache may take; `until` (no limit): the
    moment at which scanning and decoding end, with a fair sample of the images; `rows` (all): those that an earlier
    run of the study used. Those of `ResizeOptions` as well.
    """

    img_size: int | Literal["auto"]
    max_size: int
    large_size: int
    val: float
    holdout: float
    folds: int
    seed: int
    on_bad_image: Literal["skip", "error"]
    on_group_leak: OnGroupLeak
    max_disk: int
    until: Moment | None
    rows: npt.NDArray[np.int64] | None


@dataclass(frozen=True)
class PreparedData:
    """Data ready for a search. The decoded images stay in the cache while `hold` exists.

    `part` says that only a part of the images is used, because there was no time to decode all; "" if all are. Images
    that are stored at a second, larger size stay in the cache while `large_hold` exists.
    """

    splits: SearchSplits
    holdout: Holdout
    report: DataReport
    hold: Hold = field(repr=False, compare=False)
    labelled: Labelled = field(repr=False, compare=False)
    split: Split = field(repr=False, compare=False)
    part: str = ""
    large_hold: Hold | None = field(default=None, repr=False, compare=False)

    @property
    def table(self) -> pd.DataFrame:
        """Return a new table with a row for each usable image: file, label, split, group, sha256, and maybe fold."""
        import pandas as pd

        return pd.DataFrame(list(self.rows()), columns=self._columns(), dtype=str)

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Return the rows of `table`."""
        labelled = self.labelled
        sizes = np.bincount(labelled.together, minlength=1)
        # A short name of the rows that stay together; empty for a single row.
        groups = (labelled.group(k)[:12] if sizes[k] > 1 else "" for k in labelled.together.tolist())
        columns = [labelled.files, labelled.words, self.split.shown, groups, labelled.digests]
        if self.split.folds:
            columns.append([str(fold) if fold else "" for fold in self.split.folds])
        return zip(*columns, strict=True)

    def _columns(self) -> list[str]:
        return [*_COLUMNS, *([_FOLD] if self.split.folds else [])]

    def write_table(self, path: Path) -> None:
        """Write `table` as CSV, row by row. Raises OSError."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self._columns())
            writer.writerows(self.rows())

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
    """Scan, decode (or find in the cache) and split the images of `source`.

    Studies share the decoded images in `cache_dir`; targets and the rows of each part are written to
    `study_dir/index`. No file is left if the data cannot be used. Raises DataError for data that are too few, of one
    class or without a readable image, and for any unreadable image if `on_bad_image` is "error".
    """
    start = perf_counter()
    watcher = observer if observer is not None else Silent()
    _check_early(source, options)
    watcher.stage("scan", f"looking at {counted(len(source.files), 'image')} of {source.name}")
    rows = options.get("rows")
    if rows is not None:
        source = SourcePart(source, rows)
    target, large = _chosen_targets(source, options)
    decoder = _Decoder(cache_dir, options, watcher)
    stored = decoder.decode_as_chosen(source, target, large)
    source, cached, larger = stored.source, stored.cached, stored.larger
    watcher.progress(len(source.files), len(source.files))
    labelled, split, index = decoder.labelled, decoder.split, study_dir / "index"
    parts = _write_parts(cached, larger, labelled, split, index)
    if (used := rows if stored.rows is None else stored.rows) is not None:
        np.save(index / ROWS, used)
    if cached.streamed:
        watcher.note(streaming_cost(parts[TRAIN]))
    report = make_report(source, cached, labelled, split, seconds=perf_counter() - start)
    folds = write_folds(labelled, split, parts)
    info = replace(
        _info(report, labelled, parts),
        large_size=0 if larger is None else larger.img_size,
        resize=cached.resize,
        folds=len(folds),
        pixel_range=target.pixel_range,
        label_type=source.label_type,
    )
    for note in (*report.notes, *(finding.message for finding in report.findings)):
        watcher.note(note)
    return PreparedData(
        splits=SearchSplits(info, parts[TRAIN], parts[VAL], folds=folds),
        holdout=Holdout(parts[HOLDOUT]),
        report=report,
        hold=cached.hold,
        labelled=labelled,
        split=split,
        part=source.notes[-1] if isinstance(source, SourcePart) else "",
        large_hold=None if larger is None else larger.hold,
    )


def _chosen_targets(source: Source, options: DataOptions) -> tuple[Target, Target | None]:
    """Return the size and format of the pixels, and those of the larger size, if any; the source is told the range."""
    until = options.get("until")
    target, large = choose_targets(
        source,
        img_size=options.get("img_size", "auto"),
        max_size=options.get("max_size", GPU_SIZE),
        large_size=options.get("large_size", 0),
        until=None if until is None else Moment.now().later(SCAN_SHARE * until.left()),
        pixel_range=options.get("pixel_range"),
    )
    source.pixel_range = target.pixel_range
    source.notes = (*target.notes, *source.notes)
    return target, large


class _Decoder:
    """Decodes images into the cache, and labels and splits them before they are kept.

    `labelled` and `split` are those of the images that were decoded last.
    """

    labelled: Labelled
    split: Split

    def __init__(self, cache_dir: Path, options: DataOptions, watcher: Observer) -> None:
        self._cache_dir, self._options, self._watcher = cache_dir, options, watcher

    def decode_as_chosen(self, source: Source, target: Target, large: Target | None) -> Stored:
        """Decode, and decode again if `choose_resize` wants another way to make squares of these images."""
        resize, choose = self._options.get("resize", "crop"), self._options.get("choose_resize")
        stored = self._decode(source, target, large, resize, self._options.get("until"))
        if choose is None or stored.rows is not None:
            return stored
        chosen = choose(source, self.labelled, self.split)
        if chosen == resize:
            return stored
        stored.release()  # both ways may not fit onto the disk
        return self._decode(source, target, large, chosen, None)

    def _decode(
        self, source: Source, target: Target, large: Target | None, resize: Resize, until: Moment | None
    ) -> Stored:
        small = replace(target, resize=resize)
        larger = None if large is None else replace(large, resize=resize)
        return decode_to_sizes(source, small, larger, until, self._decode_at)

    def _decode_at(self, source: Source, at: Target, until: Moment | None) -> Cached:
        """Decode to one size. Raises DataError for data that cannot be used."""
        options, time = self._options, None
        self._watcher.stage("cache", f"decoding {counted(len(source.files), 'image')} to {at.img_size} px")
        if until is not None:
            time = DecodingTime(until, fair_order(source, options.get("seed", 0)), LEAST)
        return open_or_build(
            source,
            at,
            cache_dir=self._cache_dir,
            check=lambda cached: self._check(decoded_part(source, cached), cached),
            progress=self._watcher.progress,
            max_disk=options.get("max_disk"),
            note=self._watcher.note,
            time=time,
        )

    def _check(self, source: Source, cached: Cached) -> None:
        """Label and split the images, which raises DataError where that is impossible."""
        if self._options.get("on_bad_image", "skip") == "error":
            _refuse_bad(cached, source)
        labelled = label(source, cached, on_group_leak=self._options.get("on_group_leak", "keep"))
        self.split = _split(labelled, self._options)
        self.labelled = labelled.trained(self.split)


def _check_early(source: Source, options: DataOptions) -> None:
    """Raise DataError for what names and options show to be unusable, before any image is decoded."""
    choice = options.get("on_bad_image", "skip")
    if choice not in ("skip", "error"):
        raise DataError(f"on_bad_image must be 'skip' or 'error', not {choice!r}")
    if (leak := options.get("on_group_leak", "keep")) not in get_args(OnGroupLeak):
        raise DataError(unknown_name("choice for on_group_leak", str(leak), get_args(OnGroupLeak)))
    if options.get("folds"):
        refuse_given_validation(source.splits)
    if source.task == "classification":
        require_classes(Counter(source.classes[label] for label in source.targets.tolist()))


def _refuse_bad(cached: Cached, source: Source) -> None:
    bad = bad_files(cached, source.files)
    if bad:
        raise DataError(
            f"every image must be readable, but {len(bad)} of {len(cached.reasons)} are not, the first of them "
            f"{bad[0].file!r} ({bad[0].reason}): repair or remove them, or use on_bad_image='skip'"
        )


def _split(labelled: Labelled, options: DataOptions) -> Split:
    return split_columns(
        labelled.columns(),
        val=options.get("val", 0.2),
        holdout=options.get("holdout", 0.2),
        seed=options.get("seed", 0),
        task=labelled.task,
        folds=options.get("folds", 0),
    )


def _write_parts(
    cached: Cached, larger: Cached | None, labelled: Labelled, split: Split, folder: Path
) -> dict[str, Rows]:
    parts = np.array(split.parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        targets = np.zeros((len(cached.reasons), *labelled.targets.shape[1:]), dtype=labelled.targets.dtype)
        targets[labelled.usable] = labelled.targets
        np.save(folder / "targets.npy", targets)
        rows = {}
        for part in (TRAIN, VAL, HOLDOUT):
            index = labelled.usable[parts == part]
            path = folder / f"{part}.npy"
            np.save(path, index)
            rows[part] = Rows(
                images=cached.images_path,
                targets=folder / "targets.npy",
                index=path,
                n=len(index),
                large=None if larger is None else larger.images_path,
                large_size=0 if larger is None else larger.img_size,
            )
    except OSError as error:
        raise DataError(
            f"the folder of the study must be writable, but {str(folder)!r} is not ({error.strerror}): "
            "choose another"
        ) from error
    return rows


def _info(report: DataReport, labelled: Labelled, parts: dict[str, Rows]) -> DatasetInfo:
    targets = np.load(parts[TRAIN].targets)[np.load(parts[TRAIN].index)]
    target_mean: tuple[float, ...] = ()
    target_std: tuple[float, ...] = ()
    if labelled.task == "regression":
        spread = targets.std(axis=0, dtype=np.float64)
        target_mean = tuple(targets.mean(axis=0, dtype=np.float64).tolist())
        target_std = tuple(np.where(spread > 0, spread, 1.0).tolist())
    return DatasetInfo(
        name=report.name,
        task=report.task,
        classes=labelled.classes,
        in_chans=report.in_chans,
        img_size=report.img_size,
        mean=report.mean,
        std=report.std,
        class_counts=_counts(targets, labelled),
        fingerprint=report.fingerprint,
        n_train=len(parts[TRAIN]),
        n_val=len(parts[VAL]),
        n_holdout=len(parts[HOLDOUT]),
        n_skipped=len(report.bad),
        target_mean=target_mean,
        target_std=target_std,
    )


def _counts(targets: npt.NDArray[Any], labelled: Labelled) -> tuple[int, ...]:
    """Return the training rows of each class or with each label; all rows for each column of a regression."""
    if labelled.task == "classification":
        counts = np.bincount(targets, minlength=len(labelled.classes))
    elif labelled.task == "multilabel":
        counts = (targets > 0).sum(axis=0)
    else:
        counts = np.full(targets.shape[1], len(targets))
    return tuple(int(n) for n in counts)
