"""Score the delivered model on the sealed holdout, once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.cache.streamed_images import open_images
from automl.data.holdout import Holdout
from automl.final.evidence.usable import Trivial, is_usable, trivial_scores
from automl.final.intervals import interval
from automl.final.predictor import Predictor
from automl.records import Interval, Task
from automl.training.evaluate import EVAL_BATCH

ALSO = {
    "classification": ("accuracy", "balanced_accuracy", "f1", "log_loss"),
    "multilabel": ("average_precision", "f1"),
    "regression": ("rmse", "mae", "r2"),
}


@dataclass(frozen=True)
class HoldoutScores:
    """The scores of a model on the holdout, the study's metric first.

    `trivial` has the trivial answer for each metric. `usable`: by the first metric, the model is better than it by more
    than chance explains.
    """

    scores: dict[str, Interval]
    trivial: dict[str, Trivial]
    usable: bool


def score_holdout(
    predictor: Predictor,
    holdout: Holdout,
    metric: str,
    *,
    train_targets: npt.NDArray[Any],
    seed: int,
    again: bool = False,
) -> HoldoutScores:
    """Return the study's metric and the usual ones on the holdout, each with its interval and the trivial answer.

    `train_targets` are those of the training rows, from which the trivial answer follows. Raises HoldoutError if the
    holdout was opened before, unless `again` (for an extended study).
    """
    rows = holdout.open(again=again)
    images = open_images(rows.images_at(predictor.info.img_size))
    targets, index = np.load(rows.targets, mmap_mode="r"), np.load(rows.index)
    parts = [index[i : i + EVAL_BATCH] for i in range(0, len(index), EVAL_BATCH)]
    scores = np.concatenate([predictor.predict_pixels(np.ascontiguousarray(images[part])) for part in parts])
    task: Task = predictor.info.task
    names = dict.fromkeys([metric, *ALSO[task]])
    given = np.asarray(targets[index])
    found = {name: interval(name, given, scores, task, seed=seed) for name in names}
    return HoldoutScores(
        scores=found,
        trivial=trivial_scores(names, train_targets, given, predictor.info),
        usable=is_usable(metric, given, scores, train_targets, predictor.info, held=found[metric], seed=seed),
    )
