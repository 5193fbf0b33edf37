"""The digits that scikit-learn ships: 1,797 grey pictures of 8 x 8 pixels, ten classes. Needs no file and no
network.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from automl.data.sources.arrays import ArraySource
from automl.data.sources.base import require_classification


def open_digits(data: Any, *, target: str | None, task: str) -> ArraySource:
    """The optical recognition of handwritten digits data set (UCI), with its 17 grey levels spread over
    0..255.
    """
    require_classification(task, target, repr(data))
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * (255.0 / 16.0)).astype(np.uint8)
    return ArraySource(pixels, digits.target, name="digits")
