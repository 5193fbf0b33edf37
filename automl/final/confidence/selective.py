"""Answer only where the answer is right with a given frequency.

The threshold on the confidence comes from answers on rows that the model did not train on. It holds by a one-sided
Clopper-Pearson bound on the share of right answers above it (Geifman and El-Yaniv 2017, "Selective classification for
deep neural networks"). The thresholds that are tried share the risk of being wrong by the fallback procedure (Wiens
2003, "A fixed sequence Bonferroni procedure"): each has a part of it, and hands it on to the next if it holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
RISK = 0.1  # of a promise that does not hold
STEP = 1.2  # one threshold leaves so many times the answers of the one before
ROOM = (
    1.5  # times the fewest rows that could prove a frequency: the fewest answers of a threshold that is tried
)
MOST_POINTS = 500  # of the table


@dataclass(frozen=True)
class Threshold:
    """Answers with at least this `confidence` are right with the frequency that was asked for.

    On the rows that it was chosen on, the share `coverage` has it, and of these `right` were right.
    """

    confidence: float
    coverage: float
    right: float


@dataclass(frozen=True)
class RiskTable:
    """How often answers are wrong by their confidence, on `rows` rows that the model did not train on.

    Each point has a confidence, how many answers have at least that, and how many of these are wrong, from the highest
    confidence on.
    """

    rows: int
    points: tuple[tuple[float, int, int], ...]

    def threshold(self, frequency: float) -> Threshold | None:
        """Return the lowest threshold above which answers are right with this frequency; None if none can be promised.

        It is promised with a risk of 10 %.
        """
        least = fewest_rows(frequency)
        sizes = _sizes(least, self.rows)
        found, risk = None, 0.0
        for size in sizes:
            risk += RISK / len(sizes)
            confidence, answers, wrong = self._at(size)
            if lowest_share(answers - wrong, answers, risk) < frequency:
                risk = 0.0
                continue
            found = Threshold(confidence, answers / self.rows, 1.0 - wrong / answers)
        return found

    def _at(self, size: int) -> tuple[float, int, int]:
        """Return the first point with at least so many answers."""
        return next(point for point in self.points if point[1] >= size)

    def to_json(self) -> dict[str, Any]:
        """Return the table for a JSON file."""
        return {"rows": self.rows, "points": [list(point) for point in self.points]}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> RiskTable:
        """Return the table that `to_json` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        points = tuple((float(c), int(n), int(wrong)) for c, n, wrong in said["points"])
        rows = int(said["rows"])
        ordered = all(
            0 < one[1] < two[1] and one[0] > two[0] and one[2] <= two[2]
            for one, two in zip(points, points[1:], strict=False)
        )
        inside = all(0.0 <= c <= 1.0 and 0 <= wrong <= n for c, n, wrong in points)
        if (
            not points
            or not ordered
            or not inside
            or points[-1][1] != rows
            or not math.isfinite(points[0][0])
        ):
            raise ValueError("the table of confidences must count answers, from the highest confidence on")
        return cls(rows, points)


def risk_table(targets: Array, scores: Array) -> RiskTable | None:
    """Return the table of a classifier's `scores` (n, n_classes); None without rows, or if they are not finite."""
    if not len(targets) or not np.isfinite(scores).all():
        return None
    confidence, wrong = scores.max(axis=1), scores.argmax(axis=1) != targets
    order = np.argsort(-confidence, kind="stable")
    ordered, errors = confidence[order].astype(np.float64), np.cumsum(wrong[order])
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    if len(last) > MOST_POINTS:
        last = last[np.unique(np.linspace(0, len(last) - 1, MOST_POINTS).round().astype(np.int64))]
    points = [(float(ordered[i]), int(i + 1), int(errors[i])) for i in last.tolist()]
    return RiskTable(len(targets), tuple(points))


def lowest_share(right: int, n: int, risk: float) -> float:
    """Return the lower bound of a share that was seen as `right` of `n` (Clopper and Pearson 1934), one-sided."""
    from scipy.special import betaincinv  # quicker to load than scipy.stats

    return float(betaincinv(right, n - right + 1, risk)) if right else 0.0


def fewest_rows(frequency: float) -> int:
    """Return how many rows are needed at least to promise a frequency, if all answers on them are right."""
    return math.ceil(math.log(RISK) / math.log(frequency))


def _sizes(least: int, rows: int) -> list[int]:
    """Return how many answers each threshold that is tried leaves, in order; chosen without a look at the answers.

    The first ones must be able to prove something with their part of the risk.
    """
    if rows < least:
        return []
    sizes = [rows]
    while sizes[0] / STEP >= ROOM * least:
        sizes.insert(0, round(sizes[0] / STEP))
    return sizes
