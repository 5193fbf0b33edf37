"""Score the delivered model on the sealed holdout, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.cache.streamed_images import open_images
from automl.data.holdout import Holdout
from automl.final.evaluation.compute import Scored, evaluation_of, metric_names, metric_scores
from automl.final.evaluation.record import Evaluation
from automl.final.evidence.usable import Trivial, Usability, judge_usable
from automl.final.predictor import Predictor
from automl.records import Interval
from automl.training.evaluate import EVAL_BATCH
from automl.training.steps.trivial import TrivialAnswer, trivial_answer


@dataclass(frozen=True)
class HoldoutScores:
    """The evaluation of a model on the holdout, and the outputs that it was made from.

    `usability`: whether, by the study's metric, the model is better than the trivial answer by more than chance
    explains, and by which test.
    """

    evaluation: Evaluation
    scored: Scored
    usability: Usability

    @property
    def scores(self) -> dict[str, Interval]:
        """Each metric with its interval, the study's first."""
        return {name: found.interval for name, found in self.evaluation.metrics.items()}

    @property
    def trivial(self) -> dict[str, Trivial]:
        """The trivial answer for each metric."""
        return {
            name: Trivial(found.trivial, found.trivial_words)
            for name, found in self.evaluation.metrics.items()
        }


def score_holdout(
    predictor: Predictor,
    holdout: Holdout,
    metric: str,
    *,
    train_targets: npt.NDArray[Any],
    seed: int,
    files: Sequence[str] = (),
    again: bool = False,
) -> HoldoutScores:
    """Evaluate the model on the holdout: the study's metric and the usual ones, each with its interval.

    `train_targets` are those of the training rows, from which the trivial answer follows; `files` are the names of the
    holdout's rows. Raises HoldoutError if the holdout was opened before, unless `again` (for an extended study).
    """
    rows = holdout.open(again=again)
    info = predictor.info
    images = open_images(rows.images_at(info.img_size))
    targets, index = np.load(rows.targets, mmap_mode="r"), np.load(rows.index)
    parts = [index[i : i + EVAL_BATCH] for i in range(0, len(index), EVAL_BATCH)]
    scores = np.concatenate([predictor.predict_pixels(np.ascontiguousarray(images[part])) for part in parts])
    given = np.asarray(targets[index])

    def trivial(name: str) -> TrivialAnswer:
        return trivial_answer(name, train_targets, info)

    metrics = metric_scores(
        metric_names(metric, info.task), given, scores, info.task, trivial=trivial, seed=seed
    )
    held = metrics[metric].interval
    return HoldoutScores(
        evaluation=evaluation_of(given, scores, info, metric, metrics),
        scored=Scored(tuple(files), given, scores),
        usability=judge_usable(metric, given, scores, train_targets, info, held=held, seed=seed),
    )
