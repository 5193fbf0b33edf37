"""Values of a metric over bootstrap resamples of the rows (Efron 1979), for all resamples at once.

Metrics of (true, predicted) class counts use resampled counts, which are multinomial; others, how often each row is
drawn.
"""

from __future__ import annotations

import numpy as np

from automl.final.resampling.weighted_metrics import counts_classes, is_ranked, weighted, weighted_labels
from automl.records import Task
from automl.training.steps.metrics import to_labels

Array = np.ndarray
FEWEST, MOST = 40, 400  # resamples
BUDGET = 4_000_000  # rows in all resamples of one metric
RANKED_BUDGET = 10_000_000  # the same, for each output, if the rows are sorted for it
CHUNK = 1_000_000  # rows drawn at once


def resampled(name: str, targets: Array, scores: Array, task: Task, *, seed: int) -> Array:
    """Return the metric `name` of 40 to 400 resamples of the rows, as `training.steps.metrics.compute` defines it.

    A resample without a value gives NaN.
    """
    rng, n = np.random.default_rng(seed), max(1, len(targets))
    most = min(BUDGET, RANKED_BUDGET // scores.shape[1]) if is_ranked(name) else BUDGET
    count = int(np.clip(most // n, FEWEST, MOST))
    if task == "classification" and counts_classes(name):
        pairs, seen = np.unique(np.stack([targets, to_labels(scores, task)]), axis=1, return_counts=True)
        drawn = rng.multinomial(n, seen / n, size=count).astype(float)
        return weighted_labels(name, pairs[0], pairs[1], drawn)
    at_once = max(1, CHUNK // n)
    parts = [min(at_once, count - start) for start in range(0, count, at_once)]
    return np.concatenate(
        [weighted(name, targets, scores, task, drawn_counts(n, part, rng)) for part in parts]
    )


def drawn_counts(n: int, count: int, rng: np.random.Generator) -> Array:
    """Return how often each of `n` rows is among `n` draws with replacement, (count, n), for `count` resamples."""
    rows = rng.integers(0, n, (count, n)) + n * np.arange(count)[:, None]
    return np.bincount(rows.ravel(), minlength=count * n).reshape(count, n)
