"""The best trial's own network, as a candidate."""

from __future__ import annotations

from collections.abc import Callable

from automl.errors import StorageError
from automl.final.evidence.candidates import Alternative
from automl.final.evidence.delivery import Delivery
from automl.final.retrain import best_checkpoint, own_weights
from automl.records import SearchSplits
from automl.search.result import BestTrial
from automl.training.plan import TrainPlan


def own_model(
    best: BestTrial, splits: SearchSplits, plan: TrainPlan, *, note: Callable[[str], None]
) -> Alternative | None:
    """Return the best trial's own network.

    None if it left no weights of its best round, or they cannot be read, which `note` then tells.
    """
    place = best_checkpoint(best)
    if place is None:
        return None
    try:
        return Alternative(Delivery.OWN_WEIGHTS, best.config, own_weights(best.config, splits, plan, place))
    except StorageError as error:
        note(str(error))
        return None
