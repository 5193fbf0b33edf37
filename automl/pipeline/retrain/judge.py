"""What the models of a study are compared by."""

from __future__ import annotations

import numpy as np

from automl.final.evidence.candidates import Judge
from automl.pipeline.setup import Setup
from automl.search import SearchResult


def judge_of(setup: Setup, found: SearchResult) -> Judge:
    """Return what models are compared by on the validation rows of a study, after its search."""
    splits = setup.data.splits
    targets = np.load(splits.val.targets, mmap_mode="r")[np.load(splits.val.index)]
    return Judge(setup.metric.name, splits.info, targets, setup.config.seed, found.best.rows)
