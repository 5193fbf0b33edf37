"""What is known of the delivered model's answers on rows that it did not train on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.errors import StorageError
from automl.final.evidence.candidates import Alternative, Candidate
from automl.final.evidence.delivery import Delivery
from automl.final.retrain import best_checkpoint
from automl.records import SearchSplits
from automl.search.result import BestTrial
from automl.training.cross_validation import pooled_targets, read_outputs
from automl.training.steps.losses import in_units

Array = npt.NDArray[Any]
ENOUGH = (
    100  # rows that the model did not see: with fewer, those of the trial with its configuration say more
)
_RETRAINS = (Delivery.RETRAINED, Delivery.CUT_SHORT)


@dataclass(frozen=True)
class KnownAnswers:
    """Outputs (n, n_outputs) for rows with these `targets`, of the delivered model or another of its configuration."""

    targets: Array
    scores: Array


def known_answers(
    model: Alternative,
    entered: Sequence[Candidate],
    best: BestTrial,
    splits: SearchSplits,
) -> KnownAnswers | None:
    """Return what is known of a model that is delivered; None if there was no time to find out anything.

    `entered` are the models that were scored on validation rows. Out of fold where trials were scored so. Else on the
    validation rows that the model did not train on; of a retrain, for which these are few, those of the best trial's
    own weights, which have its configuration. Never on the holdout.
    """
    crossed = _out_of_fold(model, best, splits) if splits.folds else None
    if crossed is not None:
        return crossed
    targets = np.asarray(np.load(splits.val.targets, mmap_mode="r")[np.load(splits.val.index)])
    own = [_unseen(each, targets) for each in entered if each.model is model]
    if model.delivery in _RETRAINS and not (own and len(own[0].targets) >= ENOUGH):
        own = [_unseen(each, targets) for each in entered if each.name is Delivery.OWN_WEIGHTS] + own
    return next((each for each in own if len(each.targets)), None)


def _unseen(candidate: Candidate, targets: Array) -> KnownAnswers:
    unseen = ~candidate.seen[candidate.rows]
    return KnownAnswers(targets[candidate.rows[unseen]], candidate.scores[unseen])


def _out_of_fold(model: Alternative, best: BestTrial, splits: SearchSplits) -> KnownAnswers | None:
    """Return the answers of a cross-validation: of the head, or of the trial whose configuration is delivered."""
    info = model.trained.info
    if model.delivery is Delivery.HEAD:
        crossed = model.out_of_fold
        return (
            None if crossed is None else KnownAnswers(crossed.targets, in_units(crossed.tensor, info).numpy())
        )
    place = best_checkpoint(best)
    try:
        outputs = None if place is None else read_outputs(place)
    except StorageError:  # `own_model` tells it
        return None
    return None if outputs is None else KnownAnswers(pooled_targets(splits), in_units(outputs, info).numpy())
