"""Evaluate a model on labelled data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from automl.config.metrics import resolve_metric
from automl.data import Source
from automl.data.pixels import load_pixels, quiet_pillow
from automl.errors import DataError
from automl.final.evaluation.compute import Scored, evaluation_of, metric_names, metric_scores
from automl.final.evaluation.labelled import Labelled, Where, open_labelled
from automl.final.evaluation.record import Evaluation
from automl.final.evaluation.seen import StudyImages, read_study_images, told
from automl.final.loading.answers import require_numbers
from automl.machine import cores
from automl.records import DatasetInfo
from automl.training.evaluate import EVAL_BATCH
from automl.training.steps.trivial import trivial_by_counts

Array = npt.NDArray[Any]


class Scorer(Protocol):
    """What a `Predictor` is for an evaluation: `folder` is where it was loaded from, None for one in memory."""

    @property
    def info(self) -> DatasetInfo: ...

    @property
    def folder(self) -> Path | None: ...

    def predict_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """Return scores (B, n_outputs) of pixels from `load_pixels`, (B, H, W, C)."""


@dataclass(frozen=True)
class DataEvaluation:
    """An evaluation and the outputs that it was made from.

    `source` is the opened data, `rows` the row of each output in it, and `info` the data set of the model.
    """

    evaluation: Evaluation
    scored: Scored
    source: Source
    rows: tuple[int, ...]
    info: DatasetInfo

    def load(self, position: int) -> Image.Image:
        """Return the image of an output. Raises DataError."""
        return self.source.load(self.rows[position])


@dataclass(frozen=True)
class _Row:
    """A decoded row: its pixels, or why there are none, and its SHA-256 ("" if it cannot be read)."""

    pixels: Array | None
    digest: str
    reason: str = ""


def evaluate_data(
    predictor: Scorer,
    data: Any,
    *,
    where: Where | None = None,
    metric: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> DataEvaluation:
    """Score labelled data with a model and evaluate it.

    `data` are all that `fit` takes, with labels. `metric` is the first of the evaluation, by default the usual one of
    the task. Rows with a label that the model does not know and unreadable images are left out, counted and named.
    `progress(done, total)` is called after each batch. The caller closes the `source` of the result.

    Raises ConfigError for a metric that does not exist or fit, and DataError for data that cannot be opened, or of
    which no row can be used.
    """
    info = predictor.info
    spec = resolve_metric(metric or "auto", info.task)
    found = open_labelled(data, info, where)
    try:
        known = read_study_images(predictor.folder)
        names, scores, skipped, seen = _scores(predictor, found, known, progress)
        kept = [k for k, row in enumerate(found.rows) if found.source.files[row] not in skipped]
        if not kept:
            first = next(iter(skipped.items()))
            raise DataError(
                f"the data must hold readable images, but none of {len(skipped):,} is one ({first[0]}: {first[1]})"
            )
        scored = Scored(tuple(names), found.targets[kept], scores)
        metrics = metric_scores(
            metric_names(spec.name, info.task),
            scored.targets,
            scores,
            info.task,
            trivial=partial(trivial_by_counts, info=info),
        )
        evaluation = replace(
            evaluation_of(scored.targets, scores, info, spec.name, metrics),
            trained_on=seen[0],
            left_out=found.left_out,
            skipped=skipped,
            notes=_notes(found, known, seen, len(kept), skipped),
        )
        return DataEvaluation(evaluation, scored, found.source, tuple(found.rows[k] for k in kept), info)
    except BaseException:
        found.source.close()
        raise


def _scores(
    predictor: Scorer,
    found: Labelled,
    known: StudyImages | None,
    progress: Callable[[int, int], None],
) -> tuple[list[str], Array, dict[str, str], tuple[int, int]]:
    """Return the names and scores of the readable rows, the others with their reason, and how many the study knows.

    The last are the images that the model was trained on, and those of the holdout.
    """
    names, batches, chunk = list[str](), list[Array](), list[Array]()
    skipped: dict[str, str] = {}
    trained = held = 0
    total = len(found.rows)
    for done, (row, decoded) in enumerate(_decoded(found, predictor.info), 1):
        name = found.source.files[row]
        if decoded.pixels is None:
            skipped[name] = decoded.reason
        else:
            names.append(name)
            chunk.append(decoded.pixels)
            if known is not None:
                trained += decoded.digest in known.trained
                held += decoded.digest in known.holdout
        if chunk and (len(chunk) == EVAL_BATCH or done == total):
            batches.append(require_numbers(predictor.predict_pixels(np.stack(chunk))))
            chunk = []
        if done % EVAL_BATCH == 0 or done == total:
            progress(done, total)
    empty = np.empty((0, predictor.info.n_outputs), dtype=np.float32)
    return names, np.concatenate(batches) if batches else empty, skipped, (trained, held)


def _decoded(found: Labelled, info: DatasetInfo) -> Iterator[tuple[int, _Row]]:
    """Yield the decoded rows in order, with a batch decoded at a time by one thread a core."""
    with ThreadPoolExecutor(max(1, cores())) as pool:
        for start in range(0, len(found.rows), EVAL_BATCH):
            part = found.rows[start : start + EVAL_BATCH]
            yield from zip(part, pool.map(partial(_decode, found.source, info), part), strict=True)


def _decode(source: Source, info: DatasetInfo, row: int) -> _Row:
    digest = ""
    try:
        data = source.read(row)
        digest = hashlib.sha256(data).hexdigest()
        with quiet_pillow():
            return _Row(load_pixels(source.decode(data), info), digest)
    except DataError as error:
        return _Row(None, digest, str(error))


def _notes(
    found: Labelled, known: StudyImages | None, seen: tuple[int, int], n: int, skipped: dict[str, str]
) -> tuple[str, ...]:
    """Return what a person must know, with what makes the scores no test first."""
    first = told(known, *seen, n)
    last = ""
    if skipped:
        name, reason = next(iter(skipped.items()))
        verb = "is" if len(skipped) == 1 else "are"
        count = f"{len(skipped):,} of {len(found.rows):,} images"
        last = f"{count} {verb} unreadable and left out, such as {name} ({reason})."
    return tuple(text for text in (first, *found.notes, last) if text)
