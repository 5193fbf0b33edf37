"""Count which classes are taken for which. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def confusion_of(
    targets: npt.NDArray[Any], labels: npt.NDArray[Any], classes: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Return how often each true class is answered as each class; pairs that do not occur have no entry.

    `targets` and `labels` (n,) are numbers of classes.
    """
    k = len(classes)
    pairs, counts = np.unique(targets.astype(np.int64) * k + labels, return_counts=True)
    confusion: dict[str, dict[str, int]] = {}
    for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
        confusion.setdefault(classes[pair // k], {})[classes[pair % k]] = count
    return confusion
