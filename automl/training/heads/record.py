"""What is known of a fitted head."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from automl.data.folds import RowFolds
from automl.records import Config, DatasetInfo
from automl.training.evaluate import Answers
from automl.training.heads.fit import Linear
from automl.training.heads.out_of_fold import OutOfFold
from automl.training.models.pretrained_weights import Weights
from automl.training.validation.best_round import if_small


@dataclass(frozen=True, kw_only=True)
class Head:
    """A fitted head: its network, its configuration, and its `metric` on the validation rows (`val_score`).

    `model` was fitted on `n_train` training rows alone, so it can be compared with others on the `n_val` validation
    rows. `full` is the same network fitted on both, `n_full` rows, with the same `strength`, to be delivered; None if
    there was no time for it. `estimator` is the name of what was fitted, `strength` the inverse strength of its L2
    penalty (C of scikit-learn). `views` is 1 if it was fitted on images as they are, 2 if also on their mirror images.
    `size` is the side in pixels of its input, `info` holds the statistics that normalise it. `weights` are those of the
    network whose features it has. All networks are on the CPU.
    `out_of_fold` is its cross-validation, if it was asked for and had time: where that scores trials, `val_score` is
    its first value, and `n_val` its rows. `of_folds` are then the heads of all folds but the first, which is in
    `model`. `answers` are those that `val_score` was computed from, None if they are too many to be kept.
    """

    model: nn.Module
    full: nn.Module | None
    config: Config
    info: DatasetInfo
    size: int
    val_score: float
    n_train: int
    n_val: int
    n_full: int
    seconds: float
    strength: float
    estimator: str
    views: int = 1
    weights: Weights | None = None
    out_of_fold: OutOfFold | None = None
    of_folds: tuple[Linear, ...] = ()
    answers: Answers | None = None


@dataclass(frozen=True)
class Ranked:
    """What a head is ranked by: the metric over `n` rows, and the answers for them, None if they are too many to keep.

    `by_folds` says that it is of the cross-validation, as trials are scored by that; else it is of the validation rows.
    """

    value: float
    n: int
    answers: Answers | None
    by_folds: bool = False

    @staticmethod
    def of(
        value: float, answers: Answers, crossed: OutOfFold | None, folds: RowFolds | None, info: DatasetInfo
    ) -> Ranked:
        """Choose between the metric on the validation rows, with their answers, and the cross-validation, if any."""
        if crossed is None or folds is None or not folds.scores_trials:
            return Ranked(value, len(answers.rows), if_small(answers, info))
        return Ranked(crossed.values[0], len(crossed.rows), if_small(crossed.answers, info), by_folds=True)
