"""Validation images whose given label is likely to be wrong, by what the best trial says of them.

Confident learning (Northcutt, Jiang and Chuang 2021, "Confident learning: estimating uncertainty in dataset
labels", JAIR 70): a class is likely for an image if its probability reaches the mean that the class has over the
images which are given as it. That mean makes up for a model that is more, or less, sure of one class than of others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from automl.records import SearchSplits
from automl.search import BestTrial
from automl.training.evaluate import predict_rows
from automl.training.losses import to_scores
from automl.training.plan import TrainPlan
from automl.training.trial import ImageTrial

if TYPE_CHECKING:
    import pandas as pd

# Below this share of right answers a contradiction says more about the model than about the label.
LEAST_ACCURACY = 0.6
_LEAST_CONFIDENCE = 0.5
COLUMNS = ("file", "given_label", "suggested_label", "confidence")


def val_scores(best: BestTrial, splits: SearchSplits, plan: TrainPlan) -> npt.NDArray[np.float32] | None:
    """Probabilities (n_val, n_classes) of the validation rows by the best trial, which did not train on them.

    None where it left no checkpoint. Raises StorageError for a checkpoint that cannot be read.
    """
    if best.checkpoint is None or not best.checkpoint.is_dir():
        return None
    trial = ImageTrial(best.config, splits=splits, plan=replace(plan, replicas=1, deadline=None))
    try:
        trial.load(best.checkpoint)
        model, size, info = trial.trainer.averaged, trial.trainer.size, trial.trainer.info
        logits, _ = predict_rows(model, splits.val, info, size=size, device=plan.device)
    finally:
        trial.close()
    return np.asarray(to_scores(logits, splits.info.task).numpy())


def likely_errors(
    scores: npt.NDArray[np.float32], files: Sequence[str], given: Sequence[str], classes: Sequence[str]
) -> pd.DataFrame:
    """The table of suspects, the clearest first; columns `COLUMNS`.

    `scores`: (n, n_classes) from a model that did not train on these images, `given`: their labels. A suspect is an
    image whose most probable likely class is another one than given, and more probable than all others together;
    `confidence` is that class's probability. Classes that no image is given as are never suggested.
    """
    import pandas as pd

    number = {name: i for i, name in enumerate(classes)}
    labels = np.array([number[name] for name in given], dtype=np.int64)
    rows = np.arange(len(labels))
    own = scores[rows, labels].astype(np.float64)
    counts = np.bincount(labels, minlength=len(classes))
    sums = np.bincount(labels, weights=own, minlength=len(classes))
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    likely = np.where(scores >= thresholds, scores, -np.inf)
    suggested = likely.argmax(axis=1)
    best = likely[rows, suggested]
    suspects = np.flatnonzero((suggested != labels) & (best > np.maximum(own, _LEAST_CONFIDENCE)))
    order = suspects[np.argsort(own[suspects] - best[suspects], kind="stable")]
    return pd.DataFrame(
        {
            "file": [files[i] for i in order],
            "given_label": [classes[labels[i]] for i in order],
            "suggested_label": [classes[suggested[i]] for i in order],
            "confidence": [round(float(best[i]), 4) for i in order],
        },
        columns=list(COLUMNS),
    )


def in_words(table: pd.DataFrame, n_val: int) -> str:
    """One sentence for a person; "" where nothing was found."""
    if table.empty:
        return ""
    first = table.iloc[0]
    count = f"{len(table)} of {n_val:,} validation images"
    return (
        f"{count} may be labelled wrongly, see label_errors.csv; the clearest is {first['file']} "
        f"(given {first['given_label']}, looks like {first['suggested_label']}, {first['confidence']:.2f})."
    )
