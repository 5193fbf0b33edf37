"""Part of the rows, for trainings that are too short to use them all."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from automl.records import Task

FEWEST = 8  # rows of a class, where it has them


def part_of(targets: npt.NDArray[np.generic], task: Task, share: float, seed: int) -> npt.NDArray[np.int64]:
    """Positions of a share (0 to 1) of the rows with these `targets`, ascending; the same for the same seed.

    `targets`: (n,) for classification, (n, outputs) otherwise. Of each class the share, rounded up, but at least eight
    rows where it has them; so there are never fewer than the share of all.
    """
    rng, n = np.random.default_rng(seed), len(targets)
    if task != "classification":
        return np.sort(rng.permutation(n)[: math.ceil(share * n)])
    order = rng.permutation(n)
    order = order[np.argsort(targets[order], kind="stable")]  # class after class, each at random
    _, first, counts = np.unique(targets[order], return_index=True, return_counts=True)
    kept = np.maximum(FEWEST, np.ceil(share * counts))
    turn = np.arange(n) - np.repeat(first, counts)
    return np.sort(order[turn < np.repeat(kept, counts)])
