"""Score the delivered model on the sealed holdout, once."""

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
    """The validation and the holdout score, and why they differ."""

    val: float
    holdout: float
    explained: str


def score_holdout(
    predictor: Predictor, holdout: Holdout, metric: str, *, seed: int, again: bool = False
) -> dict[str, Interval]:
    """Return the study's metric and the usual ones on the holdout, each with its interval; the metric comes first.

    Raises HoldoutError if the holdout was opened before, unless `again` (for an extended study).
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
    """Compare validation and holdout score, and explain the difference in one or two sentences."""
    if not math.isfinite(val):
        text = "The time ended before any trial had a validation score, so it was compared with no other."
        return Gap(val, held.value, text)
    if held.low <= val <= held.high:
        text = f"The validation score {val:.4f} is within the holdout's interval: no sign of over-optimism."
    elif not same_length:
        text = (
            f"The validation score {val:.4f} comes from a trial that trained for less time on fewer images. "
            "Use the holdout score: it is the final model's."
        )
    else:
        text = (
            f"The validation score {val:.4f} is outside the holdout's interval: it is the best of {trials} trials "
            "on the same validation images, and therefore too optimistic. Use the holdout score."
        )
    return Gap(val, held.value, text)
