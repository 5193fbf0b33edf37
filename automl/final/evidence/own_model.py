"""The best trial's own network, as a candidate, and its outputs out of fold, as evidence."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from automl.config.metrics import METRICS
from automl.errors import StorageError
from automl.final.evidence.candidates import ENOUGH_ERRORS, Alternative, Candidate, Judge
from automl.final.evidence.delivery import Delivery
from automl.final.evidence.paired import Difference, paired_difference
from automl.final.retrain import best_checkpoint, own_weights
from automl.records import SearchSplits
from automl.search.result import BestTrial
from automl.training.cross_validation import pooled_index, read_outputs
from automl.training.plan import TrainPlan
from automl.training.steps.losses import in_units
from automl.training.steps.metrics import compute


def own_model(
    best: BestTrial, splits: SearchSplits, plan: TrainPlan, *, note: Callable[[str], None]
) -> Alternative | None:
    """Return the best trial's own network; under cross-validation that of the first fold, as K are not one model.

    None if it left no weights of its best round, or they cannot be read, which `note` then tells.
    """
    place = best_checkpoint(best)
    if place is None:
        return None
    try:
        trained = own_weights(best.config, splits, plan, place)
        return Alternative(Delivery.OWN_WEIGHTS, best.config, trained, best.value)
    except StorageError as error:
        note(str(error))
        return None


def worse_mirrored(own: Candidate, judge: Judge) -> bool:
    """Return whether the network, scored with mirror images, is worse than its trial, which was scored without them.

    Both must have been scored on all validation rows; False otherwise.
    """
    if not own.model.is_mirrored or len(own.rows) < judge.n_scored or not math.isfinite(own.model.value):
        return False
    value = compute(judge.metric, judge.targets[own.rows], own.scores, judge.info.task)
    sign = 1.0 if METRICS[judge.metric].mode == "max" else -1.0
    return sign * own.model.value > sign * value


def out_of_fold(
    best: BestTrial, splits: SearchSplits, heads: Sequence[Alternative], judge: Judge
) -> Difference | None:
    """Return how much better the best trial is than the best head on features, each out of fold on the same rows.

    None without cross-validation, without such a head, or if one of them has no outputs for all rows.
    """
    known = [head for head in heads if head.config.get("pretrained") and head.out_of_fold is not None]
    place = best_checkpoint(best) if splits.folds else None
    if not known or place is None:
        return None
    try:
        outputs = read_outputs(place)
    except StorageError:  # `own_model` tells it
        return None
    crossed, index = known[0].out_of_fold, pooled_index(splits)
    if crossed is None or outputs is None or not np.array_equal(np.sort(index), crossed.rows):
        return None
    one, two = (
        in_units(each, known[0].trained.info).numpy() for each in (outputs[np.argsort(index)], crossed.tensor)
    )
    return paired_difference(judge.metric, crossed.targets, one, two, judge.info.task, seed=judge.seed)


def decides(found: Difference | None) -> bool:
    """Return whether the trial is better than the head by more than one standard error."""
    return found is not None and found.exceeds(ENOUGH_ERRORS)


def crossed_dict(found: Difference) -> dict[str, float | int]:
    """Return the comparison for result.json."""
    return {
        "trial": found.first,
        "head": found.second,
        "rows": found.rows,
        "better_by": found.better,
        "standard_error": found.error,
    }
