"""Whether probabilities mean what they say, and what leaving out unsure answers would give."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from automl.final.evaluation.record import Calibration, ReliabilityBin, RiskPoint

Array = npt.NDArray[Any]
BINS = 15
ROWS_EACH = 10  # rows of a bin, at least
POINTS = 20


def calibration(targets: Array, scores: Array) -> Calibration | None:
    """Return how calibrated probabilities are; None for probabilities that are not finite, and without rows.

    `targets` int (n,) with `scores` (n, n_classes), or both (n, n_labels).
    """
    if not len(targets) or not np.isfinite(scores).all():
        return None
    if targets.ndim == 1:
        confidence, right = scores.max(axis=1), scores.argmax(axis=1) == targets
        # Without an array of one-hot rows, which could be large: |p - y|² = |p|² - 2 p_y + 1.
        own = scores[np.arange(len(targets)), targets].astype(np.float64)
        brier = float((np.square(scores, dtype=np.float64).sum(axis=1) - 2 * own + 1).mean())
    else:
        confidence, right = scores.reshape(-1), targets.reshape(-1) > 0
        brier = float(np.square(confidence.astype(np.float64) - right).mean())
    bins = reliability(confidence, right)
    n = len(confidence)
    ece = sum(each.n * abs(each.right - each.confidence) for each in bins) / n
    return Calibration(ece, brier, bins)


def reliability(confidence: Array, right: Array, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """Return bins of about equally many answers, from the least confident on. Equal confidences share a bin."""
    n = len(confidence)
    count = int(np.clip(n // ROWS_EACH, 1, bins))
    ordered = np.sort(confidence)
    edges = np.unique(ordered[np.arange(1, count) * n // count])
    number = np.searchsorted(edges, confidence, side="right")
    counts = np.bincount(number, minlength=len(edges) + 1)
    sums = np.bincount(number, weights=confidence, minlength=len(counts))
    hits = np.bincount(number, weights=right.astype(np.float64), minlength=len(counts))
    return tuple(
        ReliabilityBin(int(n), float(total / n), float(hit / n))
        for n, total, hit in zip(counts, sums, hits, strict=True)
        if n
    )


def risk_coverage(targets: Array, scores: Array) -> tuple[RiskPoint, ...]:
    """Return how often a classifier is wrong if it answers only where it is most confident.

    The points are at coverages of 5 % to 100 % (El-Yaniv and Wiener 2010, "On the foundations of noise-free selective
    classification", JMLR 11); those of equal confidence are one. Empty for scores that are not finite.
    """
    n = len(targets)
    if not n or not np.isfinite(scores).all():
        return ()
    confidence = scores.max(axis=1)
    wrong = scores.argmax(axis=1) != targets
    order = np.argsort(-confidence, kind="stable")
    ordered, errors = confidence[order], np.cumsum(wrong[order])
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))  # of each run of equal confidences
    ranks = np.ceil(np.arange(1, POINTS + 1) / POINTS * n).astype(np.int64) - 1
    kept = np.unique(last[np.searchsorted(last, ranks)])
    return tuple(
        RiskPoint(float((i + 1) / n), float(errors[i] / (i + 1)), float(ordered[i])) for i in kept.tolist()
    )
