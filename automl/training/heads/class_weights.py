"""The weights of classes in the loss of a head."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from automl.data.balance import Balance, class_weights
from automl.records import DatasetInfo


def weights_of_classes(info: DatasetInfo, balance: Balance) -> npt.NDArray[np.float64] | None:
    """Return what the balance of a training amounts to in a loss over all rows, (n_outputs,); None for no weights.

    Classification: the weight of a row of each class. Several labels: the weight of a row to which the label applies.
    """
    if balance == "none" or info.task == "regression":
        return None
    if balance == "loss" or info.task == "multilabel":
        return np.array(class_weights(info))
    counts = np.maximum(np.array(info.class_counts, dtype=np.float64), 1.0)
    return np.asarray(counts.sum() / (counts * len(counts)))
