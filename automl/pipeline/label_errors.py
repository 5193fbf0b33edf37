"""Write label_errors.csv: images whose label is probably wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from automl.data.splits import TRAIN, VAL
from automl.errors import AutomlError
from automl.final.label_errors import (
    MIN_AGREEMENT,
    TrialOutputs,
    agreement,
    find_label_errors,
    merge_tables,
    summary_sentence,
    trial_outputs,
)
from automl.final.out_of_fold import out_of_fold, seconds_needed
from automl.machine import slowdown
from automl.pipeline.setup import Setup
from automl.pipeline.study_folder import write_text
from automl.search import BestTrial, SearchResult
from automl.search.storage.checkpoints import checkpoint_round
from automl.training.cross_validation import pooled_index
from automl.training.rounds import STEP_COST

if TYPE_CHECKING:
    import pandas as pd

_SHARE = 0.02  # of the time limit
_SETUP_SECONDS = 0.3  # to build the model and load the checkpoint


def write_label_errors(setup: Setup, found: SearchResult) -> str:
    """Write the table of likely label errors of a classification; return a note, "" for none.

    This happens before the retrain, which gets the rest of the time. There is no table if it takes more than 2 % of the
    time limit, or if the best trial has no checkpoint or is often wrong. If only the training images take too long, the
    table has the validation images.
    """
    info, path = setup.data.splits.info, setup.workspace.root / "label_errors.csv"
    limit = setup.clock.limit
    if info.task != "classification":
        return ""
    path.unlink(missing_ok=True)  # it may be of an earlier best trial
    if (better := _better_head(setup, found)) is not None:
        return (
            f"No search for label errors: the best trial has {setup.metric.name} {found.best.value:.4f}, and a linear "
            f"head {better:.4f}, so its errors say little about labels."
        )
    slower = slowdown()  # speeds count the work of this process alone
    rate = _rate(setup, found)
    scoring = 0.0 if info.folds else info.n_val / rate  # folds have their outputs
    seconds = slower * (_SETUP_SECONDS + scoring)
    if limit is not None and seconds > _SHARE * limit:
        return f"No search for label errors: it would take {seconds:.1f} s, more than 2 % of the time limit."
    more = info.n_train / rate
    more += seconds_needed(info.n_train, info.n_outputs)
    in_time = limit is None or seconds + slower * more <= _SHARE * limit
    try:
        outputs = trial_outputs(found.best, setup.data.splits, setup.plan, with_train=in_time)
    except AutomlError as error:
        return f"No search for label errors: {error}."
    if outputs is None:
        return f"No search for label errors: {_no_outputs(found.best)}."
    files, given = _scored_rows(setup)
    which = "training and validation" if info.folds else "validation"
    if agreement(outputs.val_probabilities, given, info.classes) < MIN_AGREEMENT:
        right = sum(
            info.classes[i] == label
            for i, label in zip(outputs.val_probabilities.argmax(axis=1), given, strict=True)
        )
        return (
            f"No search for label errors: the best trial is right for {right} of {len(given):,} {which} images, too "
            "few to tell a wrong label from a hard image."
        )
    tables = [find_label_errors(outputs.val_probabilities, files, given, info.classes)]
    train = _train_table(setup, outputs)
    tables += [train] if train is not None else []
    table = merge_tables(tables)
    write_text(path, table.to_csv(index=False))
    if train is None:
        return summary_sentence(table, len(given), which=which)
    return summary_sentence(table, info.n_train + info.n_val, which="training and validation")


def _better_head(setup: Setup, found: SearchResult) -> float | None:
    """Return the value of the best head if it beats the best trial by more than two standard errors; else None."""
    sign = 1.0 if setup.metric.mode == "max" else -1.0
    values = [head.value for head in setup.heads if math.isfinite(head.value)]
    if not values or not math.isfinite(found.best.value):
        return None
    best = max(values, key=lambda value: sign * value)
    error = 0.5 / math.sqrt(max(1, setup.data.splits.info.n_scored))  # of a share, at most
    return best if sign * (best - found.best.value) > 2 * error else None


def _rate(setup: Setup, found: SearchResult) -> float:
    """Return images per second for the best trial's network; with frozen layers, training takes little longer."""
    trained = found.best_rate if math.isfinite(found.best_rate) else setup.probe.images_per_second
    return trained if found.best.config.get("pretrained") else STEP_COST * trained


def _no_outputs(best: BestTrial) -> str:
    kept = 0 if best.checkpoint is None else checkpoint_round(best.checkpoint)
    if not kept:
        return "the best trial left no checkpoint"
    if kept == best.round:
        return "the best trial has not scored all images"
    return f"the best trial's checkpoint is of round {kept}, and its score of round {best.round}"


def _train_table(setup: Setup, outputs: TrialOutputs) -> pd.DataFrame | None:
    """Return label errors among the training images, by cross-validation; None if its predictions are poor."""
    if outputs.train_features is None:
        return None
    info, data = setup.data.splits.info, setup.data
    files, given = _rows(setup, TRAIN)
    numbers = {name: k for k, name in enumerate(info.classes)}
    labels = np.array([numbers[label] for label in given], dtype=np.int64)
    groups = data.labelled.together[np.array(data.split.parts) == TRAIN]
    scores = out_of_fold(
        outputs.train_features, labels, groups, n_classes=len(info.classes), seed=setup.config.seed
    )
    if agreement(scores, given, info.classes) < MIN_AGREEMENT:
        return None
    return find_label_errors(scores, files, given, info.classes)


def _rows(setup: Setup, part: str) -> tuple[list[str], list[str]]:
    """Return files and labels of a split, in the order of its rows."""
    return _chosen(setup, [k for k, of in enumerate(setup.data.split.parts) if of == part])


def _scored_rows(setup: Setup) -> tuple[list[str], list[str]]:
    """Return files and labels of the rows that score trials: validation rows, or those of all folds in turn."""
    if not setup.data.splits.folds:
        return _rows(setup, VAL)
    usable = setup.data.labelled.usable
    return _chosen(setup, np.searchsorted(usable, pooled_index(setup.data.splits)).tolist())


def _chosen(setup: Setup, rows: Sequence[int]) -> tuple[list[str], list[str]]:
    labelled = setup.data.labelled
    return [labelled.files[k] for k in rows], [labelled.words[k] for k in rows]
