"""Opening the sealed holdout, once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from automl.data.cache.streamed_images import open_images
from automl.data.holdout import Holdout
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
class Gap:
    """Validation against holdout, and why they differ."""

    val: float
    holdout: float
    explained: str


def score_holdout(
    predictor: Predictor, holdout: Holdout, metric: str, *, seed: int, again: bool = False
) -> dict[str, Interval]:
    """The study's metric and the usual ones on the holdout, each with its interval; the metric comes first.

    Raises HoldoutError when the holdout was opened before, unless `again` (a study that was extended).
    """
    rows = holdout.open(again=again)
    images = open_images(rows.images)
    targets, index = np.load(rows.targets, mmap_mode="r"), np.load(rows.index)
    parts = [index[i : i + EVAL_BATCH] for i in range(0, len(index), EVAL_BATCH)]
    scores = np.concatenate([predictor.predict_pixels(np.ascontiguousarray(images[part])) for part in parts])
    task: Task = predictor.info.task
    names = dict.fromkeys([metric, *ALSO[task]])
    return {name: interval(name, np.asarray(targets[index]), scores, task, seed=seed) for name in names}


def explain_gap(val: float, held: Interval, *, trials: int, same_length: bool) -> Gap:
    """One or two sentences on how far validation and holdout lie apart, and what that means."""
    if not math.isfinite(val):
        text = "The time ended before any configuration had a validation score: this one was compared with no other."
        return Gap(val, held.value, text)
    inside = held.low <= val <= held.high
    if inside:
        text = f"The validation score {val:.4f} lies inside the holdout's interval: no sign of over-optimism."
    elif not same_length:
        text = (
            f"The validation score {val:.4f} is of a trial that was trained for a shorter time on fewer images; the "
            "holdout is of the final model. Believe the holdout."
        )
    else:
        text = (
            f"The validation score {val:.4f} lies outside of the holdout's interval: it is the best of {trials} "
            "trials, each compared on the same validation images, and so flatters. Believe the holdout."
        )
    return Gap(val, held.value, text)
