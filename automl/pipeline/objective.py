"""The objective of a study: one trial, on any machine of a cluster."""

from __future__ import annotations

from pathlib import Path

from automl.config import StudyConfig
from automl.data.cache.node_cache import DataOrigin, splits_on_this_node
from automl.records import Config, DatasetInfo, SearchSplits
from automl.training.cross_validation import CrossValidatedTrial
from automl.training.plan import TrainPlan
from automl.training.trial import ImageTrial


def node_trial(config: Config, *, splits: SearchSplits, plan: TrainPlan, origin: DataOrigin) -> ImageTrial:
    """Return a trial that reads the decoded images of its own machine, and decodes them first if they are missing.

    Raises DataError if that fails, which fails the trial with this message.
    """
    there = splits_on_this_node(splits, origin)
    return (CrossValidatedTrial if there.folds else ImageTrial)(config, splits=there, plan=plan)


def origin_of(config: StudyConfig, info: DatasetInfo) -> DataOrigin:
    """Return where other machines find the images of a study."""
    data = config.data if isinstance(config.data, str) else None
    return DataOrigin(
        # Workers have other working directories.
        data=str(Path(data).resolve()) if data is not None and Path(data).exists() else data,
        options=config.read_options,
        img_size=info.img_size,
        in_chans=info.in_chans,
        large_size=info.large_size,
        resize=info.resize,
        pixel_range=info.pixel_range,
        max_disk=config.max_disk,
    )
