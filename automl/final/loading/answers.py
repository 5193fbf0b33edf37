"""The answers of a network that anybody may have made."""

from __future__ import annotations

import numpy as np

from automl.errors import ModelError


def require_numbers(scores: np.ndarray) -> np.ndarray:
    """Return the scores. Raises ModelError if one is not finite: it would be told as an answer like any other."""
    if not np.isfinite(scores).all():
        raise ModelError(
            "the network's answers to these images are no numbers: its weights are damaged or too large"
        )
    return scores
