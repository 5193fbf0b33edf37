"""What the models of a study are compared by: its validation rows, and the answer that needs no model."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from automl.final.evidence.candidates import Judge
from automl.final.evidence.usable import Trivial, trivial_scores
from automl.pipeline.setup import Setup
from automl.records import Rows
from automl.search import SearchResult
from automl.training.cross_validation import pooled_targets


def judge_of(setup: Setup, found: SearchResult) -> Judge:
    """Return what models are compared by on the validation rows of a study, after its search."""
    splits = setup.data.splits
    targets = targets_of(splits.val)
    return Judge(setup.metric.name, splits.info, targets, setup.config.seed, found.best.rows)


def val_trivial(setup: Setup) -> Trivial:
    """Return the trivial answer by the study's metric on the validation rows."""
    splits, metric = setup.data.splits, setup.metric.name
    known, scored = targets_of(splits.train), targets_of(splits.val)
    if splits.folds:
        known = scored = pooled_targets(splits)
    return trivial_scores([metric], known, scored, splits.info)[metric]


def targets_of(rows: Rows) -> npt.NDArray[Any]:
    """Return the targets of some rows, in their order."""
    return np.asarray(np.load(rows.targets, mmap_mode="r")[np.load(rows.index)])
