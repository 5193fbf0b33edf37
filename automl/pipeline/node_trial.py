"""A trial of a study on whatever machine of a cluster it comes to."""

from __future__ import annotations

from automl.data.elsewhere import Origin, at_hand
from automl.records import Config, SearchSplits
from automl.training.plan import TrainPlan
from automl.training.trial import ImageTrial


def node_trial(config: Config, *, splits: SearchSplits, plan: TrainPlan, origin: Origin) -> ImageTrial:
    """The objective of a study: reads the decoded pictures of its own machine, or makes them first.

    Raises DataError where it cannot, which fails the trial with that sentence.
    """
    return ImageTrial(config, splits=at_hand(splits, origin), plan=plan)
